"""Expands `matrix:` into one tree per combination of the values of its axes.

    name: sweep
    matrix: {steps.train.epochs: [1, 2], learning_rate: [1e-5, 5e-5]}

    ->  sweep@epochs=1,learning_rate=1e-5   sweep@epochs=1,learning_rate=5e-5   sweep@epochs=2,...

An axis is a dotted path, or its last part when exactly one step of the file states that key.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import product
from math import prod

from polytune.errors import Problem
from polytune.spec.interpolate import Interpolation
from polytune.spec.located import Node, Parts, at, children, problem, split

top_level_axes = frozenset({"seed", "platform", "project", "budget", "description", "licence", "tags"})
fixed_keys = frozenset({"name", "extends", "matrix", "steps"})
# A thousand variants are a typing error rather than a plan. Names become folder names, which most file
# systems limit to 255 bytes.
most_variants = 1000
longest_name = 200
unsafe_in_names = re.compile(r"[^A-Za-z0-9._+-]+")


@dataclass(frozen=True)
class _Value:
    """One value of an axis, and its form in a variant's name."""

    node: Node
    text: str


@dataclass(frozen=True)
class _Axis:
    """One dimension of the matrix."""

    name: str
    path: Parts
    node: Node
    values: tuple[_Value, ...]


def expanded(
    root: Node, stem: str, filled: Interpolation, problems: list[Problem]
) -> Iterator[tuple[str, Node]]:
    """Yield the name and the tree of every variant; the file itself when it has no matrix.

    `stem` names a file that states no name; `filled` resolves references inside the values of an axis.
    """
    assert isinstance(root.value, Mapping)
    stated = root.value.get("name")
    name = stated.value if stated is not None and isinstance(stated.value, str) else stem
    axes = _axes(root, filled, problems)
    labels = _labels(axes)
    for values in product(*(axis.values for axis in axes)):
        tree = root
        for axis, value in zip(axes, values, strict=True):
            tree = _with(tree, axis.path, value.node)
        parts = [f"{label}={value.text}" for label, value in zip(labels, values, strict=True)]
        full_name = f"{name}@{','.join(parts)}" if parts else name
        if parts and len(full_name) > longest_name:
            what = f"the variant {full_name[:40]}... has a name of more than {longest_name} characters"
            problems.append(problem(root.value["matrix"].origin, "matrix", what))
            return
        yield full_name, tree


def axis_path(root: Node, name: str) -> Parts | None:
    """Return the path that an axis varies; None when a short name matches no step's key, or several."""
    if "." in name:
        return split(name)
    if name in top_level_axes:
        return (name,)
    found = _stating(root, name)
    return found[0] if len(found) == 1 else None


def _stating(root: Node, name: str) -> list[Parts]:
    steps = at(root, ("steps",))
    ids = children(steps) if steps is not None else {}
    return [("steps", step, name) for step in ids if name in children(ids[step])]


def _axes(root: Node, filled: Interpolation, problems: list[Problem]) -> list[_Axis]:
    assert isinstance(root.value, Mapping)
    matrix = root.value.get("matrix")
    if matrix is None:
        return []
    if not isinstance(matrix.value, Mapping) or not matrix.value:
        what = "must be a mapping of axes, such as {steps.train.epochs: [1, 2]}"
        problems.append(problem(matrix.origin, "matrix", what))
        return []
    found = [_axis(root, name, filled, problems) for name in matrix.value]
    axes = [axis for axis in found if axis is not None and not _clashes(axis, found, problems)]
    count = prod(len(axis.values) for axis in axes)
    if count > most_variants:
        what = f"makes {count:,} variants; at most {most_variants:,} are allowed"
        problems.append(problem(matrix.origin, "matrix", what))
        return []
    return axes


def _clashes(axis: _Axis, axes: list[_Axis | None], problems: list[Problem]) -> bool:
    """Whether an earlier axis varies the same place; if so, report it."""
    for other in axes[: axes.index(axis)]:
        if other is None:
            continue
        # One path inside the other clashes too: the outer value would replace the inner one.
        shorter = min(len(axis.path), len(other.path))
        if axis.path[:shorter] == other.path[:shorter]:
            what = f"varies the same value as the axis '{other.name}' varies"
            problems.append(problem(axis.node.origin, f"matrix.{axis.name}", what))
            return True
    return False


def _axis(root: Node, name: str, filled: Interpolation, problems: list[Problem]) -> _Axis | None:
    matrix = at(root, ("matrix",))
    assert matrix is not None
    stated = children(matrix)[name]
    where = f"matrix.{name}"
    path = axis_path(root, name)
    if path is None or not all(path) or path[0] in fixed_keys - {"steps"}:
        if not root.incomplete:
            problems.append(problem(matrix.keys.get(name, stated.origin), where, _not_an_axis(root, name)))
        return None
    if _is_blocked(root, path):
        what = f"{'.'.join(path)} is inside a single value or a list"
        problems.append(problem(matrix.keys.get(name, stated.origin), where, what))
        return None
    if not isinstance(stated.value, tuple) or not stated.value:
        problems.append(problem(stated.origin, where, "must be a list of values"))
        return None
    return _Axis(name, path, stated, _values(root, where, stated.value, filled, problems))


def _values(
    root: Node, where: str, items: tuple[Node, ...], filled: Interpolation, problems: list[Problem]
) -> tuple[_Value, ...]:
    values: dict[str, _Value] = {}
    for item in items:
        said = filled.part(root, item, (where, str(len(values))))
        text = unsafe_in_names.sub("-", _said(said)) or "none"
        if text in values:
            problems.append(problem(item.origin, where, f"'{text}' is listed twice"))
        values[text] = _Value(item, text)
    return tuple(values.values())


def _said(node: Node) -> str:
    """Return a value's form in a name: '5e-5' as written; '{kind: a, top_k: 3}' as 'a-top_k-3'."""
    if isinstance(node.value, Mapping):
        parts = node.value.items()
        return "-".join(_said(value) if key == "kind" else f"{key}-{_said(value)}" for key, value in parts)
    if isinstance(node.value, tuple):
        return "-".join(map(_said, node.value))
    return node.text or ""


def _not_an_axis(root: Node, name: str) -> str:
    found = [".".join(path) for path in _stating(root, name)]
    if len(found) > 1:
        return f"is ambiguous; write one of {', '.join(found)}"
    if name in fixed_keys or "." in name:
        return "cannot be varied"
    steps = at(root, ("steps",))
    stated = {key for step in children(steps).values() for key in children(step)} if steps else set()
    near = get_close_matches(name, sorted(stated), n=1, cutoff=0.6)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return f"no step in this file sets it; write the full path, steps.<step>.{name}.{hint}"


def _is_blocked(root: Node, path: Parts) -> bool:
    """Whether something along the path is a list or a single value, which has no keys."""
    node: Node | None = root
    for part in path:
        if node is None or node.value is None:
            return False
        if not isinstance(node.value, Mapping):
            return True
        node = node.value.get(part)
    return False


def _with(node: Node, path: Parts, value: Node) -> Node:
    if not path:
        return value
    old = node.value if isinstance(node.value, Mapping) else {}
    child = old.get(path[0], Node(None, value.origin))
    keys = {path[0]: value.origin, **node.keys}
    return replace(node, value={**old, path[0]: _with(child, path[1:], value)}, keys=keys)


def _labels(axes: list[_Axis]) -> list[str]:
    """Return the last part of each axis's path; the whole path where several axes share it."""
    last = Counter(axis.path[-1] for axis in axes)
    return [axis.path[-1] if last[axis.path[-1]] == 1 else ".".join(axis.path) for axis in axes]
