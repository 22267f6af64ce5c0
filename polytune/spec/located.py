"""Values that know where they were written: the tree between a YAML file and a typed spec.

    epochs: 8      ->   Node(8, Origin(experiments/bad.yaml, 12, 15), text="8")

A node is never changed; every operation on a tree returns a new one that shares what it left alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from polytune.errors import Problem
from polytune.fingerprint import Json

Scalar = None | bool | int | float | str
Parts = tuple[str, ...]
"""A dotted path, taken apart: ("steps", "train", "epochs"). List items are named by their position."""


@dataclass(frozen=True)
class Origin:
    """Where a value was written; line and column count from 1, and are 0 outside files."""

    file: Path
    line: int
    column: int
    via: str = ""
    """`env:NAME` when the whole value came from the environment; the place is then the reference's."""


COMMAND_LINE = Origin(Path("--set"), 0, 0)


@dataclass(frozen=True)
class Node:
    """A value with its place. `keys` says where each key of a mapping was written."""

    value: Scalar | tuple[Node, ...] | Mapping[str, Node]
    origin: Origin
    keys: Mapping[str, Origin] = field(default_factory=dict)
    text: str | None = None
    """How a scalar was written: '5e-5', although the value is 5e-05."""
    loose: bool = False
    """The text came without a type (environment, command line), so the field that takes it decides."""
    broken: bool = False
    """Something about it was reported already; nothing more needs saying."""
    incomplete: bool = False
    """A mapping whose other keys could not be read: what it lacks is not worth telling."""
    stated: str = ""
    """The dotted path under which it was written, when it is used under another one."""


def children(node: Node) -> Mapping[str, Node]:
    """The parts of a mapping by key, of a list by position; none for a scalar."""
    if isinstance(node.value, Mapping):
        return node.value
    if isinstance(node.value, tuple):
        return {str(index): item for index, item in enumerate(node.value)}
    return {}


def split(path: str) -> Parts:
    """The parts of a dotted path; the empty path has none."""
    return tuple(path.split(".")) if path else ()


def at(node: Node, path: Sequence[str]) -> Node | None:
    """The node at a path below `node`; None when nothing was written there."""
    for part in path:
        found = children(node).get(part)
        if found is None:
            return None
        node = found
    return node


def dotted(where: str, *parts: str) -> str:
    """`where` with more parts behind it."""
    return ".".join(part for part in (where, *parts) if part)


def stated_at(node: Node, where: str, path: Sequence[str]) -> tuple[Node, str]:
    """The deepest node that was written along a path, and the dotted name of the whole path.

    The name starts anew at a node that was written under another path than it is used under.
    """
    where = node.stated or where
    for index, part in enumerate(path):
        found = children(node).get(part)
        if found is None:
            return node, dotted(where, *path[index:])
        node, where = found, found.stated or dotted(where, part)
    return node, where


def problem_at(node: Node, where: str, path: str, what: str) -> Problem:
    """A problem at a dotted path below `node`, placed at the deepest part of it that was written."""
    found, name = stated_at(node, where, split(path))
    return problem(found.origin, name, what)


def problem(origin: Origin, where: str, what: str) -> Problem:
    """A problem at a place, told on one line of bounded length whatever the file holds."""
    return Problem(str(origin.file), origin.line, origin.column, _one_line(where, 200), _one_line(what, 600))


def _one_line(text: str, most: int) -> str:
    text = "".join(character if character.isprintable() else " " for character in text)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def shown_folder(path: Path) -> str:
    """The folder of a path, as a message names it."""
    folder = os.path.normpath(path.parent)
    return "this folder" if folder == "." else folder


def plain(node: Node) -> Json:
    """The value alone, as JSON would have it."""
    if isinstance(node.value, Mapping):
        return {key: plain(value) for key, value in node.value.items()}
    if isinstance(node.value, tuple):
        return [plain(item) for item in node.value]
    return node.value


def incomplete(node: Node) -> Node:
    """The same tree, with nothing to be told about what it lacks."""
    if not isinstance(node.value, Mapping):
        return node
    value = {key: incomplete(child) for key, child in node.value.items()}
    return replace(node, value=value, incomplete=True)


def leaves(node: Node, path: Parts = ()) -> Iterator[tuple[Parts, Node]]:
    """Every scalar and every empty mapping or list, with its path."""
    parts = children(node)
    if not parts:
        yield path, node
    for key, value in parts.items():
        yield from leaves(value, (*path, key))


def origins(node: Node, prefix: str, root: Path) -> dict[str, str]:
    """Dotted path -> `file:line`, `--set` or `env:NAME` for every value written; files relative to `root`.

    Values that no file states (defaults) are not listed.
    """
    return {dotted(prefix, *path): _origin_text(leaf.origin, root) for path, leaf in leaves(node)}


def _origin_text(origin: Origin, root: Path) -> str:
    if origin.via:
        return origin.via
    if not origin.line:
        return str(origin.file)
    return f"{os.path.relpath(origin.file, root)}:{origin.line}"
