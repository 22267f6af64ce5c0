"""Values as applications write them: JSON and TypeScript literals, and prices in the unit of each.

Every literal is safe wherever an application puts it; no price has digits that float arithmetic added.
"""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec


def literal(value: object) -> str:
    """A JSON text on one line, which is also a TypeScript expression; all but printable ASCII is escaped.

    So is `<`, since applications put such constants into pages, where `</script>` would end the script.
    """
    # json.dumps leaves DEL as it is, though it is no more printable than the controls it escapes.
    return json.dumps(value, ensure_ascii=True).replace("<", "\\u003c").replace("\x7f", "\\u007f")


def json_file(value: object) -> str:
    """A JSON file, keys sorted, indented by two, newline-terminated; `<` is escaped as in `literal`."""
    text = json.dumps(msgspec.to_builtins(value), indent=2, sort_keys=True, ensure_ascii=False)
    return text.replace("<", "\\u003c") + "\n"


def per_million(usd_per_thousand: float | None) -> float | None:
    """US dollars for a million tokens, from those for a thousand; None stays None."""
    # Through the shortest decimal text of the float: 0.00006 * 1000 would be 0.060000000000000005.
    return None if usd_per_thousand is None else float(Decimal(repr(usd_per_thousand)) * 1000)


def per_thousand(usd_per_million: float | None) -> float | None:
    """US dollars for a thousand tokens, from those for a million; None stays None."""
    return None if usd_per_million is None else float(Decimal(repr(usd_per_million)) / 1000)


def per_token(usd_per_million: float | None) -> float | None:
    """US dollars for one token, from those for a million; None stays None."""
    return None if usd_per_million is None else float(Decimal(repr(usd_per_million)) / 1_000_000)
