"""The workspace's own folder in texts such as commands: records have a mark in its place, and hold in a copy.

[python, /home/ada/songs/judge.py]   recorded as   [python, "${workspace}/judge.py"]
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from polytune.spec.model import NamesPaths, Spec
from polytune.spec.resolved import json_texts, walk

mark = "${workspace}"
"""What no text of a file can hold: `${...}` is resolved when the file is read."""


def path_texts(spec: Spec) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every text of the `NamesPaths` fields of a spec and its members, with its path."""
    for found in walk(spec):
        if found.shape.marker(NamesPaths) is not None:
            yield from json_texts(found)


def unrooted(text: str, root: Path, instead: str = mark) -> str:
    """Return the text with something else in place of the folder's absolute path, wherever that is a path."""
    if root == root.parent:
        return text
    return re.sub(rf"(?<![\w./-]){re.escape(str(root))}(?![\w.-])", lambda _: instead, text)
