"""Values with the place where they were written: the tree between a YAML file and a typed spec.

    epochs: 8      ->   Node(8, Origin(experiments/bad.yaml, 12, 15), text="8")

Nodes are immutable. Every operation returns a new tree that shares the unchanged parts with the old one.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from polytune.errors import Problem
from polytune.fingerprint import Json

Scalar = None | bool | int | float | str
Parts = tuple[str, ...]
"""The parts of a dotted path: ("steps", "train", "epochs"). A list item's part is its position."""


@dataclass(frozen=True)
class Origin:
    """Where a value was written. Line and column count from 1; both are 0 outside files."""

    file: Path
    line: int
    column: int
    via: str = ""
    """`env:NAME` when the whole value came from the environment; the place is then that of the reference."""


COMMAND_LINE = Origin(Path("--set"), 0, 0)


@dataclass(frozen=True)
class Node:
    """A value with its origin. `keys` holds the origin of each key of a mapping."""

    value: Scalar | tuple[Node, ...] | Mapping[str, Node]
    origin: Origin
    keys: Mapping[str, Origin] = field(default_factory=dict)
    text: str | None = None
    """How a scalar was written: '5e-5', although its value is 5e-05."""
    loose: bool = False
    """Whether the text came without a type (environment, command line), so that the field decides on it."""
    broken: bool = False
    """Whether a problem with it was already reported, so that no other is."""
    incomplete: bool = False
    """Whether some keys of the mapping could not be read, so that missing keys are not reported."""
    stated: str = ""
    """The dotted path under which it was written, if it is used under a different one."""


def children(node: Node) -> Mapping[str, Node]:
    """Return the parts of a mapping by key, of a list by position; none for a scalar."""
    if isinstance(node.value, Mapping):
        return node.value
    if isinstance(node.value, tuple):
        return {str(index): item for index, item in enumerate(node.value)}
    return {}


def split(path: str) -> Parts:
    """Return the parts of a dotted path; the empty path has none."""
    return tuple(path.split(".")) if path else ()


def at(node: Node, path: Sequence[str]) -> Node | None:
    """Return the node at a path below `node`; None when nothing was written there."""
    for part in path:
        found = children(node).get(part)
        if found is None:
            return None
        node = found
    return node


def dotted(where: str, *parts: str) -> str:
    """Return `where` extended by more parts."""
    return ".".join(part for part in (where, *parts) if part)


def stated_at(node: Node, where: str, path: Sequence[str]) -> tuple[Node, str]:
    """Return the deepest node that was written along a path, and the dotted name of the whole path.

    The name starts over at a node that was written under a different path than it is used under.
    """
    where = node.stated or where
    for index, part in enumerate(path):
        found = children(node).get(part)
        if found is None:
            return node, dotted(where, *path[index:])
        node, where = found, found.stated or dotted(where, part)
    return node, where


def problem_at(node: Node, where: str, path: str, what: str) -> Problem:
    """Return a problem at a dotted path below `node`, placed at the deepest part of it that was written."""
    found, name = stated_at(node, where, split(path))
    return problem(found.origin, name, what)


def problem(origin: Origin, where: str, what: str) -> Problem:
    """Return a problem on one line of bounded length, whatever the file contains."""
    return Problem(str(origin.file), origin.line, origin.column, _one_line(where, 200), _one_line(what, 600))


def _one_line(text: str, most: int) -> str:
    # Keys and values come from foreign files: no escape sequence or line break may reach the terminal.
    text = "".join(character if character.isprintable() else " " for character in text)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def shown_folder(path: Path) -> str:
    """Return the folder of a path as messages name it."""
    folder = os.path.normpath(path.parent)
    return "this folder" if folder == "." else folder


def identity(node: Node) -> Hashable:
    """Return what two nodes share only if no reader can tell them apart, places included."""
    value: object = node.value
    if isinstance(node.value, Mapping):
        value = tuple((key, identity(part)) for key, part in node.value.items())
    elif isinstance(node.value, tuple):
        value = tuple(map(identity, node.value))
    marks = (node.text, node.stated, node.loose, node.broken, node.incomplete)
    # The type, because True and 1 are equal.
    return type(node.value), value, node.origin, tuple(node.keys.items()), marks


def plain(node: Node) -> Json:
    """Return the value alone, as JSON."""
    if isinstance(node.value, Mapping):
        return {key: plain(value) for key, value in node.value.items()}
    if isinstance(node.value, tuple):
        return [plain(item) for item in node.value]
    return node.value


def incomplete(node: Node) -> Node:
    """Return the same tree marked so that missing keys are not reported."""
    if not isinstance(node.value, Mapping):
        return node
    value = {key: incomplete(child) for key, child in node.value.items()}
    # All the way down: a missing key at any depth may come from the file that could not be read.
    return replace(node, value=value, incomplete=True)


def leaves(node: Node, path: Parts = ()) -> Iterator[tuple[Parts, Node]]:
    """Yield every scalar and every empty mapping or list, with its path."""
    parts = children(node)
    if not parts:
        yield path, node
    for key, value in parts.items():
        yield from leaves(value, (*path, key))


def origins(node: Node, prefix: str, root: Path) -> dict[str, str]:
    """Return dotted path -> `file:line`, `--set` or `env:NAME` for every value written.

    Files are relative to `root`. Values that no file states (defaults) are not listed.
    """
    return {dotted(prefix, *path): _origin_text(leaf.origin, root) for path, leaf in leaves(node)}


def _origin_text(origin: Origin, root: Path) -> str:
    if origin.via:
        return origin.via
    if not origin.line:
        return str(origin.file)
    return f"{os.path.relpath(origin.file, root)}:{origin.line}"
