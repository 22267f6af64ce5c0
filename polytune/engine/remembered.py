"""Decides whether a stored compilation is valid: all that it read, and polytune itself, is unchanged."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from polytune import __version__
from polytune.engine.compiled import Compilation, CompiledStep, Watched
from polytune.engine.filememory import FileMemory
from polytune.fingerprint import fingerprint

package = Path(__file__).parent.parent


def identity_of(path: Path, overrides: tuple[str, ...], wanted: str | None = None) -> str:
    """Return the identity of a compilation: a digest of the file's path, `--set` and the wanted variant."""
    return fingerprint("polytune.compilation.v2", [str(path), list(overrides), wanted])


def recall(body: bytes | None, memory: FileMemory, environment: Mapping[str, str]) -> Compilation | None:
    """Return the stored compilation, or None if anything that it depends on has changed."""
    if body is None:
        return None
    try:
        found = msgspec.json.decode(body, type=Compilation)
    except msgspec.DecodeError:
        # Written by a version with another layout; compile again.
        return None
    return found if _holds(found.watched, memory, environment) else None


def _holds(watched: Watched, memory: FileMemory, environment: Mapping[str, str]) -> bool:
    return (
        watched.tool == tool_fingerprint()
        and all(value_fingerprint(environment.get(name)) == was for name, was in watched.environment.items())
        and all((memory.content(Path(path)) or "") == was for path, was in watched.files.items())
    )


def watched_now(step: CompiledStep, root: Path, memory: FileMemory) -> dict[str, str]:
    """Return the digest of every file and folder behind a step's facts, in the form of `step.watched`."""
    return {path: memory.content(root / path) or "" for path in step.watched}


def value_fingerprint(value: str | None) -> str:
    """Return a digest of an environment variable's value, so the value itself is not stored; '' if unset."""
    return "" if value is None else fingerprint("polytune.environment.v1", value)


def tool_fingerprint() -> str:
    """Return a digest of this program: its version, its source files by size and time, and site-packages."""
    # Installing a package changes its folder's time. A new plugin must invalidate what
    # was compiled without it.
    installed = [_stamp(Path(folder)) for folder in sys.path if folder and "site-packages" in folder]
    return fingerprint(
        "polytune.tool.v1",
        [__version__, platform.python_version(), sorted(_source_stamps(package)), sorted(installed)],
    )


# Stamps, not contents: this runs at the start of every command, and hashing the sources would take longer
# than everything else that a command with nothing to do does.
def _source_stamps(folder: Path) -> Iterator[str]:
    for entry in os.scandir(folder):
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _source_stamps(Path(entry.path))
        elif entry.name.endswith(".py"):
            yield _stamp(Path(entry.path))


def _stamp(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError:
        return f"{path} absent"
    return f"{path} {stat.st_size} {stat.st_mtime_ns}"
