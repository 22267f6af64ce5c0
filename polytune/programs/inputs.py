"""The inputs of a program: the files of its command line, what those import, and what the user declares.

words       plain words that are files                             python judge.py rubric.md
files       after `=`, absolute, in a shell's word, `-m`, imports   --rubric=rubric.md   /work/judge.py
folders     words that are folders                                  data
patterns    `files:` of the spec                                    files: [data/**/*.json]
"""

from __future__ import annotations

import glob
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from polytune.errors import StepFailed
from polytune.files import digest_of
from polytune.fingerprint import Json, fingerprint
from polytune.globs import files_below, is_generated, matches, pattern_below
from polytune.programs.imports import ImportScan, search_path
from polytune.programs.python_words import PythonWords, python_calls, shebang_words

longest_path = 4096
before_paths = "@<>"
"""What may stand directly before a path: `@arguments.txt`, `<rubric.md`."""


@dataclass(frozen=True)
class ProgramInputs:
    """What a program's key covers, by name, and what to watch for changes of it."""

    root: Path
    words: Mapping[str, Path] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    """Path relative to the workspace -> file."""
    folders: Mapping[str, Path] = field(default_factory=dict)
    """Path relative to the workspace -> folder, all of whose content counts."""
    patterns: tuple[Path, ...] = ()
    """The patterns that were declared, and one for each folder."""
    watched: tuple[Path, ...] = ()
    """Files and patterns; some files are not there, and would be inputs if they were."""

    def facts(self) -> dict[str, Json]:
        """Return digests of all inputs, for a cache key."""
        found: dict[str, Json] = {"files": {word: digest_of(path) for word, path in self.words.items()}}
        further: dict[str, Json] = {name: digest_of(path) for name, path in sorted(self.files.items())}
        further |= {name: _content(path) for name, path in sorted(self.folders.items())}
        return {**found, "inputs": further} if further else found

    def all_files(self) -> Iterator[Path]:
        """Yield every file that the key covers."""
        yield from self.words.values()
        yield from self.files.values()
        for folder in self.folders.values():
            yield from files_below(folder)


def _content(folder: Path) -> str:
    digests = {path.relative_to(folder).as_posix(): digest_of(path) for path in files_below(folder)}
    return fingerprint("polytune.program-folder.v1", dict(sorted(digests.items())))


def declared_files(folder: Path, root: Path, texts: Sequence[str]) -> dict[Path, tuple[Path, ...]]:
    """Return pattern -> files for each pattern of `files:`, which are relative to the folder.

    Raises StepFailed for one that leads out of the workspace or matches no file.
    """
    found = {}
    for text in texts:
        pattern = pattern_below(folder, text)
        if not (pattern.is_relative_to(pattern_below(root, "")) and text.strip()):
            raise StepFailed(
                f"files: '{text}' leads out of the workspace {root}. Copy what is needed into the workspace,"
                f" and state it relative to {folder}"
            )
        found[pattern] = tuple(path for path in matches(pattern) if path.is_relative_to(root))
        if not found[pattern]:
            raise StepFailed(f"files: '{text}' matches no file in {folder}. Correct or remove it")
    return found


def boundary(folder: Path, root: Path) -> Path:
    """Return the folder inside which files count as the user's: the workspace, or one outside of it."""
    found = Path(os.path.realpath(root))
    return found if Path(os.path.realpath(folder)).is_relative_to(found) else Path(os.path.realpath(folder))


def relative_name(path: Path, folder: Path) -> str:
    """Return a path relative to a folder, with slashes; it may lead out of it."""
    return Path(os.path.relpath(path, folder)).as_posix()


class CommandInputs:
    """Finds the inputs of one command line."""

    def __init__(self, command: Sequence[str], folder: Path, root: Path, python_path: str = "") -> None:
        self._command = tuple(command)
        self._folder = folder
        self._here = Path(os.path.realpath(folder))
        self._root = boundary(self._here, root)
        self._python_path = [self._here / each for each in python_path.split(os.pathsep) if each]
        self._words: dict[str, Path] = {}
        self._found: dict[Path, None] = {}
        self._folders: dict[Path, None] = {}
        self._looked_up: dict[Path, None] = {}

    def inputs(self, declared: Sequence[str]) -> ProgramInputs:
        """Return the inputs. Raises StepFailed for a wrong pattern in `declared`."""
        patterns = declared_files(self._here, self._root, declared)
        for word in self._command:
            self._look_at(word)
        self._follow(self._command)
        for files in patterns.values():
            self._found |= dict.fromkeys(files)
        known = {Path(os.path.realpath(path)) for path in self._words.values()}
        further = [path for path in self._found if Path(os.path.realpath(path)) not in known]
        trees = tuple(pattern_below(path, "**") for path in self._folders)
        return ProgramInputs(
            root=self._root,
            words=self._words,
            files={relative_name(path, self._root): path for path in further},
            folders={relative_name(path, self._root): path for path in self._folders},
            patterns=(*patterns, *trees),
            watched=(*self._words.values(), *further, *self._absent(), *patterns, *trees),
        )

    def _absent(self) -> Iterator[Path]:
        taken = {*self._words.values(), *self._found}
        # A shell's word may be a pattern; watched is only a file that has it for its name.
        return (Path(glob.escape(str(path))) for path in self._looked_up if path not in taken)

    def _look_at(self, word: str) -> None:
        if is_beside(word, self._folder):
            self._words[word] = self._folder / word
            return
        for text in dict.fromkeys(_paths_in(word)):
            self._look_up(text)

    def _look_up(self, text: str) -> None:
        path = Path(os.path.normpath(self._here / text))
        inside = path.is_relative_to(self._root)
        # Programs of the machine are not hashed: a system update would invalidate every verdict.
        if (os.path.isabs(text) and not inside) or _is_generated_below(path, self._root):
            return
        if path.is_file():
            self._found[path] = None
        elif path.is_dir():
            # The workspace itself is where a program works, not what it is given.
            if inside and path != self._root:
                self._folders[path] = None
        elif inside:
            self._looked_up[path] = None

    def _follow(self, words: Sequence[str]) -> None:
        """Add what the Python programs in some words import."""
        for word in words:
            for text in _paths_in(word):
                path = Path(os.path.normpath(self._here / text))
                if path.is_file() and (path.suffix == ".py" or shebang_words(path)):
                    self._scan(path.parent).follow_file(path)
            for python in python_calls(_shell_words(word)):
                self._follow_python(python)
        for python in python_calls(words):
            self._follow_python(python)

    def _follow_python(self, python: PythonWords) -> None:
        script = Path(os.path.normpath(self._here / python.script)) if python.script else None
        if script is not None and script.is_file():
            self._scan(script.parent).follow_file(script)
        elif script is not None and (script / "__main__.py").is_file():
            self._scan(script).follow_module(("__main__",))
        if python.code:
            self._scan(self._here).follow_code(python.code)
        if python.module:
            self._scan(self._here).follow_module(tuple(python.module.split(".")), run=True)

    def _scan(self, first: Path) -> ImportScan:
        # What one scan has found need not be followed again by the next.
        search = search_path([first, *self._python_path], self._root)
        return ImportScan(self._root, search, self._found, self._looked_up)


def is_beside(word: str, folder: Path) -> bool:
    """Whether a word is a path relative to the folder that names a file."""
    try:
        return not os.path.isabs(word) and (folder / word).is_file()
    except (OSError, ValueError):
        return False


def _paths_in(word: str) -> Iterator[str]:
    """Yield every text in a word that may be a path."""
    for part in (word, *_shell_words(word)):
        option, _, value = part.partition("=")
        for text in (part, value) if option else (value,):
            if _may_be_path(stripped := text.lstrip(before_paths)):
                yield stripped


def _shell_words(word: str) -> list[str]:
    """Return the words of a command inside of a word, as in `sh -c "python judge.py"`."""
    if not re.search(r"\s", word):
        return []
    try:
        return list(shlex.shlex(word, posix=True, punctuation_chars=True))
    except ValueError:
        return word.split()


def _may_be_path(text: str) -> bool:
    return bool(text) and not text.startswith("-") and "\0" not in text and len(text) <= longest_path


def _is_generated_below(path: Path, root: Path) -> bool:
    if not path.is_relative_to(root):
        return False
    return any(is_generated(root / each) for each in path.relative_to(root).parents if each.parts)
