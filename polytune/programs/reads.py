"""What a running Python program reads in the workspace, compared with the inputs that its key covers.

with ReadObserver(inputs) as observer:
    launch(..., environment=observer.environment({...}))
    observer.undeclared()       files and folders that were read so far and are not in the key
"""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import polytune
from polytune.files import remove_tree
from polytune.globs import is_generated, lists
from polytune.programs.inputs import ProgramInputs
from polytune.programs.observer import sitecustomize as observer_module
from polytune.programs.python_words import is_python, python_calls, shebang_words

observer_folder = str(Path(observer_module.__file__).parent)
package = os.path.realpath(Path(polytune.__file__).parent)
# Descriptions of installed packages, which Python looks up by itself.
metadata = (".egg-info", ".dist-info")
installed = ("site-packages", "dist-packages")
setting = "POLYTUNE_UNDECLARED_INPUTS"


@dataclass(frozen=True)
class FileRead:
    """One file that a program opened for reading, or a folder that it listed."""

    path: str
    is_folder: bool


class ReadReport:
    """The file to which observed programs report, in a temporary folder of its own."""

    def __init__(self, *roots: Path) -> None:
        """`roots` are the folders below which reads are reported, without symbolic links in their paths."""
        self._roots = os.pathsep.join(map(str, roots))
        self._folder = Path(tempfile.mkdtemp(prefix="polytune-reads-"))
        self._file = self._folder / "report"
        self._file.touch()
        self._position = 0
        self._written: set[str] = set()
        self.has_started = False
        """Whether a Python program has reported that it is observed."""
        self.unobserved: set[str] = set()
        """The names of programs that an observed one has started and that are not observed themselves."""
        self.started_ns = os.stat(self._file).st_ctime_ns
        """The time at which the report was opened, by the clock of its file system."""

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the variables with which a program is observed."""
        path = [observer_folder, *filter(None, [given.get("PYTHONPATH")])]
        return {
            **given,
            "PYTHONPATH": os.pathsep.join(path),
            observer_module.report_variable: str(self._file),
            observer_module.roots_variable: self._roots,
        }

    def new_reads(self) -> Iterator[FileRead]:
        """Yield what was reported since the last call, without what the programs had written themselves."""
        with self._file.open("rb") as file:
            file.seek(self._position)
            entries = file.read().split(b"\0")
        # What follows the last zero byte is not complete yet.
        self._position += sum(len(entry) + 1 for entry in entries[:-1])
        for entry in entries[:-1]:
            letter, path = chr(entry[0]), os.fsdecode(entry[1:])
            if letter == "H":
                self.has_started = True
            elif letter == "W":
                self._written.add(path)
            elif letter == "P":
                self._note_program(path.split(observer_module.unit))
            elif path not in self._written:
                yield FileRead(path, letter == "L")

    def _note_program(self, words: Sequence[str]) -> None:
        script = Path(words[0])
        calls = python_calls(words) if is_python(words[0]) else [shebang_words(script)]
        if calls[0] is None or not calls[0].is_observable:
            self.unobserved.add(script.name)

    def close(self) -> None:
        """Remove the report."""
        remove_tree(self._folder)


class ReadObserver:
    """Observes one program from its start. Nothing is observed of programs that are not Python's."""

    def __init__(self, inputs: ProgramInputs) -> None:
        root = Path(os.path.realpath(inputs.root))
        self._patterns = inputs.patterns
        self._declared = {os.path.realpath(path) for path in inputs.all_files()}
        self._report = ReadReport(root)
        # Only what was there before the program started is an input.
        self._before = NamesBefore(str(root), self._report.started_ns)
        self._undeclared: dict[str, None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._report.close()

    @property
    def has_started(self) -> bool:
        """Whether a Python program has reported that it is observed."""
        return self._report.has_started

    @property
    def unobserved(self) -> tuple[str, ...]:
        """The names of programs that were started and are not observed, sorted."""
        return tuple(sorted(self._report.unobserved))

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the variables with which a program is observed."""
        return self._report.environment(given)

    def undeclared(self) -> tuple[str, ...]:
        """Return what was read so far and is not in the key: absolute paths, in the order of reading."""
        for read in self._report.new_reads():
            if self._is_input(read.path, read.is_folder):
                self._undeclared[read.path] = None
        return tuple(self._undeclared)

    def _is_input(self, path: str, is_folder: bool) -> bool:
        """Whether something that was read is an input of the workspace that the key does not cover."""
        real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        if is_exempt(real) or not (self._before.has(path, is_folder) or self._before.has(real, is_folder)):
            return False
        if is_folder:
            return not any(lists(pattern, Path(each)) for pattern in self._patterns for each in (path, real))
        return os.path.realpath(real) not in self._declared


def undeclared_text(place: str, paths: Sequence[str], folder: Path, stated: Sequence[str]) -> str:
    """Return what to say of files that were read and are not in the key: their names and the line to add.

    `stated` are the patterns that the spec has already; they are relative to `folder`, and so is the line.
    """
    here = os.path.realpath(folder)
    names = [Path(os.path.relpath(path, here)).as_posix() for path in paths]
    lacking = [f"{name}/**" if os.path.isdir(path) else name for name, path in zip(names, paths, strict=True)]
    line = ", ".join(map(_quoted, dict.fromkeys((*stated, *lacking))))
    return (
        f"{place}: it read {', '.join(names)}, not part of its key: an edit would not be noticed."
        f" Add `files: [{line}]` to it and run again, or set {setting}=warn"
    )


def _quoted(name: str) -> str:
    # Plain only what YAML surely reads as text: `null`, `1.5` and `*.md` are something else.
    is_plain = re.fullmatch(r"(\.\./)*[^\W\d][\w-]*[./][\w./*-]*", name)
    return name if is_plain else json.dumps(name, ensure_ascii=False)


class NamesBefore:
    """The names of all files and folders below a root at one moment, without generated ones."""

    def __init__(self, root: str, since_ns: int) -> None:
        self._root = root
        self._since_ns = since_ns
        self._files: set[str] = set()
        self._folders: set[str] = {"."}
        self._links: set[str] = set()
        self._walk(root, "")

    def has(self, path: str, is_folder: bool) -> bool:
        """Whether a file or folder with this absolute path was there."""
        place = os.path.relpath(path, self._root)
        if place in (self._folders if is_folder else self._files):
            return True
        # Linked folders are not walked: they may lead anywhere.
        if not any(str(parent) in self._links for parent in (Path(place), *Path(place).parents)):
            return False
        try:
            found = os.stat(path)
        except OSError:
            return False
        return found.st_ctime_ns <= self._since_ns and stat.S_ISDIR(found.st_mode) == is_folder

    def _walk(self, folder: str, prefix: str) -> None:
        try:
            entries = list(os.scandir(folder))
        # What cannot be listed here can hardly be read by the program.
        except OSError:
            return
        for entry in entries:
            place = prefix + entry.name
            if not entry.is_dir():
                self._files.add(place)
            elif entry.is_symlink():
                self._links.add(place)
            elif not is_generated(entry.path):
                self._folders.add(place)
                self._walk(entry.path, place + "/")


def is_exempt(path: str) -> bool:
    """Whether a path belongs to polytune itself or to an installed package."""
    # polytune itself, where it is developed: its version is in the key.
    if (path + os.sep).startswith(package + os.sep):
        return True
    return any(part in installed or part.endswith(metadata) for part in Path(path).parts)
