"""Applies `--set a.b.c=value` to a tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from polytune.errors import Problem
from polytune.spec.located import COMMAND_LINE, Node, Parts, dotted, problem, split
from polytune.spec.reading import parse_value
from polytune.spec.variants import axis_path

# As deep as a YAML file may be nested (`most_levels` in reading).
most_parts = 40


class _WrongOverride(Exception):
    """The path cannot be set; the text says why."""


def overridden(root: Node, overrides: Sequence[str], problems: list[Problem]) -> Node:
    """Return the tree with every `path=value` applied, the last one winning; missing mappings are created.

    A matrix axis at that path is narrowed to the one value.
    """
    for override in overrides:
        path, equals, text = override.partition("=")
        try:
            root = _set(root, path.strip(), text if equals else None, problems)
        except _WrongOverride as wrong:
            problems.append(problem(COMMAND_LINE, path.strip(), str(wrong)))
    return root


def _set(root: Node, path: str, text: str | None, problems: list[Problem]) -> Node:
    if text is None:
        raise _WrongOverride(f"write --set {path or 'path'}=value")
    if path == "extends":
        raise _WrongOverride("cannot be set; the file it names was already read")
    parts = _parts(path)
    value = parse_value(text, path, problems)
    if value is None:
        return root
    return _replaced(_narrowed(root, parts, value), parts, value, "")


def _parts(path: str) -> Parts:
    parts = split(path)
    if not all(parts) or not parts:
        raise _WrongOverride(f"'{path}' is not a path such as steps.train.epochs")
    if len(parts) > most_parts:
        raise _WrongOverride(f"has more than {most_parts} parts")
    if parts[0] == "matrix" and len(parts) > 1:
        # An axis is one key that contains dots: `matrix.steps.train.epochs`.
        return ("matrix", ".".join(parts[1:]))
    return parts


def _narrowed(root: Node, parts: Parts, value: Node) -> Node:
    matrix = root.value.get("matrix") if isinstance(root.value, Mapping) else None
    if matrix is None or not isinstance(matrix.value, Mapping):
        return root
    # Otherwise the matrix, which is expanded later, would overwrite the value of --set.
    axes = {
        name: Node((value,), COMMAND_LINE) if axis_path(root, name) == parts else values
        for name, values in matrix.value.items()
    }
    assert isinstance(root.value, Mapping)
    return replace(root, value={**root.value, "matrix": replace(matrix, value=axes)})


def _replaced(node: Node, parts: Parts, value: Node, where: str) -> Node:
    """Return `node` with `value` at the path `parts` below it."""
    if not parts:
        return value
    key, rest = parts[0], parts[1:]
    below = dotted(where, key)
    if isinstance(node.value, Mapping):
        child = node.value.get(key, Node(None, COMMAND_LINE))
        keys = {key: COMMAND_LINE, **node.keys}
        return replace(node, value={**node.value, key: _replaced(child, rest, value, below)}, keys=keys)
    if isinstance(node.value, tuple):
        index = _index(key, len(node.value), where)
        items = list(node.value)
        items[index] = _replaced(items[index], rest, value, below)
        return replace(node, value=tuple(items))
    if node.value is None:
        return Node(
            {key: _replaced(Node(None, COMMAND_LINE), rest, value, below)}, node.origin, {key: COMMAND_LINE}
        )
    raise _WrongOverride(f"{where} is a single value and has no '{key}'")


def _index(key: str, length: int, where: str) -> int:
    if key.isascii() and key.isdigit() and len(key) < 9 and int(key) < length:
        return int(key)
    raise _WrongOverride(f"{where} is a list of {length}; items are counted from 0, and '{key}' is not in it")
