"""Values as JSON, which is also a TypeScript expression, safe wherever an application puts them."""

from __future__ import annotations

import json

import msgspec


def literal(value: object) -> str:
    """A JSON text on one line in which everything that is not printable ASCII is escaped.

    So is `<`, since applications put such constants into pages, where `</script>` would end the script.
    """
    return json.dumps(value, ensure_ascii=True).replace("<", "\\u003c").replace("\x7f", "\\u007f")


def json_file(value: object) -> str:
    """A JSON file, keys sorted, indented by two, newline-terminated; `<` is escaped as in `literal`."""
    text = json.dumps(msgspec.to_builtins(value), indent=2, sort_keys=True, ensure_ascii=False)
    return text.replace("<", "\\u003c") + "\n"
