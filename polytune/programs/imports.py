"""The files of a workspace that a Python program imports, found without running it."""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from polytune.globs import is_generated

Name = tuple[str, ...]
"""The parts of a module's dotted name."""


@dataclass
class ImportScan:
    """Follows imports from file to file, as far as they stay in the workspace."""

    root: Path
    search: tuple[Path, ...]
    """The folders in which modules are looked for, in order; only those inside the root are."""
    files: dict[Path, None] = field(default_factory=dict)
    """The files found, in the order of finding."""
    looked_up: dict[Path, None] = field(default_factory=dict)
    """Every path where a module could have been, whether it is there or not."""

    def follow_file(self, path: Path, package: Name = ()) -> None:
        """Add all that a file imports. The file itself is not added."""
        try:
            source = path.read_bytes()
        except OSError:
            return
        self.follow_code(source, package)

    def follow_code(self, source: bytes | str, package: Name = ()) -> None:
        """Add all that some code imports; nothing if it is no Python."""
        try:
            with warnings.catch_warnings():
                # What is odd about the program is for its own run to say.
                warnings.simplefilter("ignore")
                tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        for name in _imported(tree, package):
            self.follow_module(name)

    def follow_module(self, name: Name, *, run: bool = False) -> None:
        """Add a module, the packages that it is in, and all that they import. `run`: it is run by `-m`."""
        if not all(part.isidentifier() for part in name):
            return
        for folder in self.search:
            if self._follow_in(folder, name, run):
                return

    def _follow_in(self, folder: Path, name: Name, run: bool) -> bool:
        """Whether the module's first part is in the folder; if so, all that can be found is added."""
        found = False
        for length, part in enumerate(name, start=1):
            place = folder / part
            package, module = place / "__init__.py", place.with_name(f"{part}.py")
            if self._add(package, name[:length]):
                found = True
            elif self._add(module, name[: length - 1]):
                return True
            # A folder without `__init__.py` is a package too, if something is found in it.
            elif not place.is_dir():
                return found
            folder = place
        return (run and self._add(folder / "__main__.py", name)) or found

    def _add(self, path: Path, package: Name) -> bool:
        self.looked_up[path] = None
        if path in self.files:
            return True
        if not path.is_file() or not self._is_inside(path):
            return False
        self.files[path] = None
        self.follow_file(path, package)
        return True

    def _is_inside(self, path: Path) -> bool:
        """Whether a file is the workspace's own: inside of it, and in no virtual environment."""
        if not path.is_relative_to(self.root):
            return False
        parents = path.relative_to(self.root).parents
        return not any(is_generated(self.root / parent) for parent in parents if parent.parts)


def _imported(tree: ast.Module, package: Name) -> Iterator[Name]:
    """Yield the names of all modules that a file's code may import, in order."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from _imported_from(node, package)
        elif isinstance(node, ast.Call):
            yield from _imported_by_call(node)


def _imported_from(node: ast.ImportFrom, package: Name) -> Iterator[Name]:
    above = package[: len(package) + 1 - node.level] if node.level else ()
    origin = (*above, *(node.module.split(".") if node.module else ()))
    if origin:
        yield origin
    # Each name may be a module of its own, which is then imported too.
    yield from ((*origin, alias.name) for alias in node.names if alias.name != "*")


def _imported_by_call(node: ast.Call) -> Iterator[Name]:
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    first = node.args[0] if node.args else None
    if called in ("import_module", "__import__") and isinstance(first, ast.Constant):
        name = first.value
        if isinstance(name, str) and name and not name.startswith("."):
            yield tuple(name.split("."))


def search_path(folders: Sequence[Path], root: Path) -> tuple[Path, ...]:
    """Return the folders inside the root, without duplicates, as absolute paths."""
    found = (Path(os.path.realpath(folder)) for folder in folders)
    return tuple(dict.fromkeys(folder for folder in found if folder.is_relative_to(root)))
