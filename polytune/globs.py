"""Patterns of files, `data/**/*.json`, and the walk that finds them without what programs generate.

A pattern is an absolute path in which `*`, `?` and `[...]` match inside one name, and `**` any folders.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

any_folders = "**"
magic = frozenset("*?[")
escaped = re.compile(r"\[([*?\[])\]")
"""A special character that stands for itself."""


def has_magic(text: str) -> bool:
    """Whether a path or a part of one is a pattern."""
    return not magic.isdisjoint(text)


def pattern_below(folder: Path, text: str) -> Path:
    """Return the pattern that `text` is in a folder; the name of a file or folder there matches it alone."""
    if os.path.lexists(folder / text):
        text = glob.escape(text)
    # The folder's own name may contain characters that are special in a pattern.
    return Path(os.path.normpath(os.path.join(glob.escape(str(folder)), text)))


def matches(pattern: Path) -> tuple[Path, ...]:
    """Return the files that a pattern matches, sorted; for a folder, all files below it."""
    found = sorted(set(_matching(Path(pattern.anchor), _collapsed(pattern.parts[1:]))))
    return tuple(found)


def lists(pattern: Path, folder: Path) -> bool:
    """Whether the names in a folder decide what a pattern matches."""
    return _lists(_collapsed(pattern.parts[1:]), folder.parts[1:])


def stamp_of(path: Path) -> object:
    """Return a value that changes when a file is written or replaced, or a file of a pattern is.

    Equal values are no proof: within one tick of the clock a file can change twice.
    """
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        if not has_magic(str(path)):
            return None
        return [(str(each), stamp_of(each)) for each in matches(path)]
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def files_below(folder: Path) -> Iterator[Path]:
    """Yield every file below a folder, without those that programs generate."""
    for entry in os.scandir(folder):
        if entry.is_file():
            yield Path(entry.path)
        elif entry.is_dir(follow_symlinks=False) and not is_generated(entry.path):
            yield from files_below(Path(entry.path))


def is_generated(folder: str | Path) -> bool:
    """Whether a folder is git's, a virtual environment, a cache, or holds the records of polytune itself."""
    name = os.path.basename(folder)
    environments = ("pyvenv.cfg", "conda-meta")
    if name in (".git", "__pycache__") or any(os.path.exists(os.path.join(folder, e)) for e in environments):
        return True
    own = ("ledger.sqlite3", ".gitignore")
    return name == "runs" and any(os.path.isfile(os.path.join(folder, each)) for each in own)


def _collapsed(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the parts without a `**` behind another, which would only match the same files again."""
    pairs = zip(("", *parts), parts, strict=False)
    return tuple(part for before, part in pairs if not before == part == any_folders)


def _matching(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    if not parts:
        yield from files_below(folder) if folder.is_dir() else [folder] if folder.is_file() else []
    elif parts[0] == any_folders:
        yield from files_below(folder) if len(parts) == 1 and folder.is_dir() else ()
        yield from _matching_anywhere(folder, parts) if len(parts) > 1 else ()
    elif not has_magic(escaped.sub("", parts[0])):
        yield from _matching(folder / escaped.sub(r"\1", parts[0]), parts[1:])
    else:
        yield from _matching_here(folder, parts)


def _matching_anywhere(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    yield from _matching(folder, parts[1:])
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False) and not is_generated(entry.path):
            yield from _matching_anywhere(Path(entry.path), parts)


def _matching_here(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    for entry in _entries(folder):
        if not fnmatchcase(entry.name, parts[0]):
            continue
        if len(parts) == 1 and entry.is_file():
            yield Path(entry.path)
        # The last part matches names of files; `data/*/**` reaches into folders.
        elif len(parts) > 1 and entry.is_dir() and not is_generated(entry.path):
            yield from _matching(Path(entry.path), parts[1:])


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _lists(parts: tuple[str, ...], folder: tuple[str, ...]) -> bool:
    if not folder:
        return not parts or has_magic(escaped.sub("", parts[0]))
    if not parts:
        return True
    if parts[0] == any_folders:
        return True
    return fnmatchcase(folder[0], parts[0]) and _lists(parts[1:], folder[1:])
