"""Composes an experiment file with the files it extends, `--set` values and its matrix.

file  <-  extends, oldest first  <-  --set  ->  matrix: one tree per variant  ->  ${...} resolved
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from polytune.errors import Problem
from polytune.spec.interpolate import Interpolation
from polytune.spec.located import Node, Parts, incomplete, problem, shown_folder
from polytune.spec.overrides import overridden
from polytune.spec.reading import read_located
from polytune.spec.variants import expanded

composed_keys = frozenset({"extends", "matrix"})
"""Top-level keys that are consumed here; the tree of a variant has none of them."""


@dataclass(frozen=True)
class Variant:
    """One experiment that a file defines."""

    name: str
    """The file's `name`; with a matrix, followed by `@axis=value,...`."""
    root: Node


@dataclass(frozen=True)
class Composition:
    """A file with everything it refers to in place."""

    variants: tuple[Variant, ...]
    """In matrix order, last axis fastest; empty when the file cannot be read at all."""
    names: tuple[str, ...]
    """Of all variants, also of those that were not wanted."""
    sources: tuple[Path, ...]
    """Absolute path of every YAML file read; the given one first."""
    environment: Mapping[str, str | None]
    """Every environment variable that was looked up, and its value."""
    problems: tuple[Problem, ...]


def compose(
    path: Path, overrides: Sequence[str], environment: Mapping[str, str], wanted: str | None = None
) -> Composition:
    """Return the variants that a file defines, or the `wanted` one, with `--set` applied. Never raises.

    Problems are collected, so that validation can add its own before all are shown.
    """
    problems: list[Problem] = []
    ancestry = _Ancestry(problems)
    root = ancestry.whole(path)
    if root is None:
        return Composition((), (), tuple(ancestry.sources), {}, tuple(problems))
    root = incomplete(root) if ancestry.is_broken else root
    # Before the matrix: an axis that `--set` fixes is narrowed to one value instead of overwritten.
    root = overridden(root, overrides, problems)
    looked_up: dict[str, str | None] = {}
    filled = Interpolation(environment, looked_up, problems)
    # Discards its problems: the same references are resolved again in each variant's
    # tree, which reports them.
    for_names = Interpolation(environment, looked_up, [])
    trees = dict(expanded(root, path.stem, for_names, problems))
    variants = tuple(
        Variant(name, filled.whole(_without_composed_keys(tree)))
        for name, tree in trees.items()
        if wanted is None or is_called(name, wanted)
    )
    found = tuple(dict.fromkeys(problems))
    return Composition(variants, tuple(trees), tuple(ancestry.sources), looked_up, found)


def is_called(name: str, wanted: str) -> bool:
    """Whether a variant's name is meant: the whole `experiment@variant`, or what follows the `@`."""
    return wanted in (name, name.partition("@")[2])


def merged(parent: Node, child: Node, path: Parts = ()) -> Node:
    """Merge the child over the parent: mappings merge, lists and scalars replace.

    A family member that names a different `kind` replaces the parent's too, because the other keys belong
    to the old kind. A step's own `kind` (`steps.deploy.kind`) is an ordinary key.
    """
    if not (isinstance(parent.value, Mapping) and isinstance(child.value, Mapping)):
        return child
    if _names_another_kind(parent.value, child.value) and not _is_step(path):
        return child
    value = dict(parent.value)
    for key, node in child.value.items():
        value[key] = merged(value[key], node, (*path, key)) if key in value else node
    return replace(child, value=value, keys={**parent.keys, **child.keys})


def _names_another_kind(parent: Mapping[str, Node], child: Mapping[str, Node]) -> bool:
    return "kind" in parent and "kind" in child and parent["kind"].value != child["kind"].value


def _is_step(path: Parts) -> bool:
    return len(path) == 2 and path[0] == "steps"


def _without_composed_keys(root: Node) -> Node:
    assert isinstance(root.value, Mapping)
    value = {key: node for key, node in root.value.items() if key not in composed_keys}
    return replace(root, value=value)


class _Ancestry:
    """Follows `extends` from a file to its oldest ancestor."""

    def __init__(self, problems: list[Problem]) -> None:
        self.sources: list[Path] = []
        self.is_broken = False
        """Whether a file in the chain could not be read, so that its keys are unknown."""
        self._problems = problems
        self._chain: list[Path] = []

    def whole(self, path: Path) -> Node | None:
        """Return the file merged over all that it extends; None, with a problem, when it cannot be read."""
        self.sources.append(Path(os.path.abspath(path)))
        self._chain.append(path)
        root = read_located(path, self._problems)
        if root is None:
            self.is_broken = True
            return None
        if not isinstance(root.value, Mapping):
            what = "an experiment is a mapping of keys such as `name:` and `steps:`"
            self._problems.append(problem(root.origin, "", what))
            self.is_broken = True
            return None
        stated = root.value.get("extends")
        parent = self._parent(stated) if stated is not None else None
        return root if parent is None else merged(parent, root)

    def _parent(self, stated: Node) -> Node | None:
        if not isinstance(stated.value, str) or not stated.value:
            self._wrong(stated, "must be the path of another experiment file")
            return None
        folder = stated.origin.file.parent
        # Not resolve(): messages and recorded paths should name the file as the user
        # wrote it, symlinks included.
        path = Path(os.path.normpath(folder / stated.value))
        if not os.path.isfile(path):
            self._wrong(stated, f"no such file '{stated.value}'; looked in {shown_folder(path)}")
            return None
        if Path(os.path.abspath(path)) in self.sources:
            chain = " -> ".join(str(each) for each in (*self._chain, path))
            self._wrong(stated, f"a file cannot extend itself: {chain}")
            return None
        return self.whole(path)

    def _wrong(self, stated: Node, what: str) -> None:
        self._problems.append(problem(stated.origin, "extends", what))
        self.is_broken = True
