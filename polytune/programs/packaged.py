"""A Python file with all that it needs beside it, in the form in which it travels: a folder of files by name.

    graders/reward.py                    grader.py          under the name that the platform wants
    graders/rubric.py    import          rubric.py
    graders/data/a.json  files:          data/a.json

The same bytes are tried, hashed and deployed. What the file reads while it is tried must be in the package:
the workspace does not travel.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from polytune.errors import StepFailed
from polytune.fingerprint import Json
from polytune.globs import is_generated
from polytune.programs.imports import ImportScan, search_path
from polytune.programs.inputs import boundary, declared_files, relative_name
from polytune.programs.reads import FileRead, is_exempt, undeclared_text


@dataclass(frozen=True)
class ProgramPlace:
    """Where a program's file and its patterns are stated."""

    main: Path
    """The Python file."""
    folder: Path
    """What patterns are relative to."""
    root: Path
    """The workspace."""
    taken: tuple[str, ...] = ()
    """The names that the platform gives to the file and to what it adds."""


@dataclass(frozen=True)
class PackagedProgram:
    """A Python file and its further files, read once."""

    place: ProgramPlace
    main: bytes
    further: dict[str, bytes]
    """Path relative to the main file's folder -> content."""
    declared: tuple[str, ...]
    """The patterns, as stated."""
    watched: tuple[Path, ...]
    """Further files, patterns, and where modules could be that are not there."""
    only_warns: bool = False
    """Whether a read of something else than the package only gives a warning."""

    @property
    def main_digest(self) -> str:
        """The digest of the main file, as digests of files are everywhere."""
        return hashlib.sha256(self.main).hexdigest()

    def facts(self) -> dict[str, Json]:
        """Return digests of the further files by name, for a cache key that holds the main file already."""
        return {name: hashlib.sha256(self.further[name]).hexdigest() for name in sorted(self.further)}

    def files(self, main_name: str, entry: dict[str, bytes]) -> dict[str, bytes]:
        """Return the whole package. `entry` are files that the platform adds."""
        return {**self.further, main_name: self.main, **entry}

    def warning(self, reads: Iterable[FileRead], placed: Path) -> str:
        """Return what to say of reads outside of the package, which ran in the folder `placed`; '' for none.

        Raises StepFailed with the same text unless they only warn.
        """
        undeclared, outside = self._judged(reads, placed)
        texts = []
        if undeclared:
            here = self.place.folder
            texts.append(undeclared_text(str(self.place.main), undeclared, here, self.declared))
        if outside:
            names = ", ".join(relative_name(Path(path), self.place.root) for path in outside)
            texts.append(
                f"{self.place.main}: it read {names} from the workspace, which is not deployed."
                f" Read the copy beside it instead, `Path(__file__).with_name(...)`"
            )
        if texts and not self.only_warns:
            raise StepFailed("; ".join(texts))
        return "; ".join(texts)

    def _judged(self, reads: Iterable[FileRead], placed: Path) -> tuple[list[str], list[str]]:
        """Return the workspace's files and folders that are not in the package, and those read in place."""
        home, root = os.path.realpath(self.place.main.parent), os.path.realpath(self.place.root)
        undeclared: dict[str, None] = {}
        outside: dict[str, None] = {}
        for read in reads:
            in_package = Path(read.path).is_relative_to(placed)
            path = os.path.join(home, os.path.relpath(read.path, placed)) if in_package else read.path
            if in_package and os.path.exists(read.path):
                continue
            if _is_own(path, root, is_folder=read.is_folder):
                known = relative_name(Path(path), Path(home)) in self.further
                (outside if known else undeclared)[os.path.normpath(path)] = None
        return list(undeclared), list(outside)


def _is_own(path: str, root: str, *, is_folder: bool) -> bool:
    """Whether a path is a file or folder of the workspace."""
    if not (os.path.isdir(path) if is_folder else os.path.isfile(path)):
        return False
    inside = Path(path).is_relative_to(root)
    folders = [Path(path), *Path(path).parents][: len(Path(path).parts) - len(Path(root).parts)]
    return inside and not is_exempt(path) and not any(is_generated(folder) for folder in folders)


def packaged(place: ProgramPlace, declared: Sequence[str], *, only_warns: bool) -> PackagedProgram:
    """Return the package of a Python file: what it imports from its own folder, and what is declared.

    Raises StepFailed for a pattern that leads out of the workspace or out of the file's folder, or matches
    nothing, and for a file whose name is taken.
    """
    home = Path(os.path.realpath(place.main.parent))
    root = boundary(home, place.root)
    patterns = declared_files(Path(os.path.realpath(place.folder)), root, declared)
    scan = ImportScan(root, search_path([home], root))
    scan.follow_file(place.main)
    further = dict.fromkeys((*scan.files, *(path for files in patterns.values() for path in files)))
    outside = [path for path in further if not path.is_relative_to(home)]
    if outside:
        raise StepFailed(
            f"{place.main}: {relative_name(outside[0], root)} cannot travel with it, because it is not below"
            f" {relative_name(home, root)}/. Move it there"
        )
    for path in further:
        # A module that imports the file itself finds it under either name.
        if relative_name(path, home) in place.taken and not path.samefile(place.main):
            raise StepFailed(f"{path}: the package has a file of this name already; rename it")
    return PackagedProgram(
        place=place,
        main=place.main.read_bytes(),
        further={relative_name(path, home): path.read_bytes() for path in further},
        declared=tuple(declared),
        watched=(*further, *scan.looked_up, *patterns),
        only_warns=only_warns,
    )
