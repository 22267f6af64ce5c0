"""The gallery of what the program says: tests name a message by its key, and one line of YAML words it.

`tests/messages/<area>.yaml` maps keys to texts, in which `{name}` is a value that the test states:

    assert message("cli/no-such-step", step="uplaod", suggestion="upload") in done.stderr
    with pytest.raises(SpecError, match=matching("spec/no-such-key", key="epoch")): ...

Who changes a message of the program changes its line here, and no test.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import yaml

folder = Path(__file__).parent
placeholder = re.compile(r"\{([a-z]\w*)\}")


@cache
def area(name: str) -> dict[str, str]:
    """The messages of one area, by key."""
    texts: dict[str, str] = yaml.safe_load((folder / f"{name}.yaml").read_text())
    return texts


def message(key: str, /, **values: object) -> str:
    """The text of one message with its values filled in; every placeholder needs one."""
    return _filled(key, values, str, None)


def matching(key: str, /, **values: object) -> str:
    """A pattern for `match=`: values are taken literally, and a placeholder without one matches anything."""
    return _filled(key, values, _escaped, ".*")


def _escaped(text: str) -> str:
    # spaces need no escape outside of re.VERBOSE, and pytest shows the pattern when a test fails
    return re.escape(text).replace("\\ ", " ")


def _filled(key: str, values: dict[str, object], literal: Callable[[str], str], missing: str | None) -> str:
    name, _, entry = key.partition("/")
    text = area(name)[entry]
    wanted = set(placeholder.findall(text))
    if unknown := values.keys() - wanted:
        raise KeyError(f"{key} has no {sorted(unknown)}")
    if missing is None and (open_ := wanted - values.keys()):
        raise KeyError(f"{key} needs {sorted(open_)}")
    # split() puts the names of the placeholders at the odd places
    pieces = placeholder.split(text)
    for place, piece in enumerate(pieces):
        if place % 2 == 0:
            pieces[place] = literal(piece)
        else:
            pieces[place] = literal(str(values[piece])) if piece in values else str(missing)
    return "".join(pieces)
