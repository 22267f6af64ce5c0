"""Literals and prices for exported files: JSON and TypeScript literals, prices in each application's unit.

Every literal is safe wherever an application puts it; no price has extra digits from float arithmetic.
"""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec


def literal(value: object) -> str:
    """A JSON text on one line that is also a TypeScript expression; only printable ASCII is left unescaped.

    `<` is escaped too: applications put such constants into pages, where `</script>` would end the script.
    """
    # json.dumps escapes control characters but not DEL, which is not printable either.
    return json.dumps(value, ensure_ascii=True).replace("<", "\\u003c").replace("\x7f", "\\u007f")


def json_file(value: object) -> str:
    """A JSON file with sorted keys, indented by two, newline-terminated; `<` is escaped as in `literal`."""
    text = json.dumps(msgspec.to_builtins(value), indent=2, sort_keys=True, ensure_ascii=False)
    return text.replace("<", "\\u003c") + "\n"


def per_million(usd_per_thousand: float | None) -> float | None:
    """Convert US dollars per thousand tokens to US dollars per million; None stays None."""
    # Via the shortest decimal text of the float: 0.00006 * 1000 would be 0.060000000000000005.
    return None if usd_per_thousand is None else float(Decimal(repr(usd_per_thousand)) * 1000)


def per_thousand(usd_per_million: float | None) -> float | None:
    """Convert US dollars per million tokens to US dollars per thousand; None stays None."""
    return None if usd_per_million is None else float(Decimal(repr(usd_per_million)) / 1000)


def per_token(usd_per_million: float | None) -> float | None:
    """Convert US dollars per million tokens to US dollars per token; None stays None."""
    return None if usd_per_million is None else float(Decimal(repr(usd_per_million)) / 1_000_000)
