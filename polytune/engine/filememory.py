"""Digests of files, each hashed once and remembered by (device, inode, size, mtime, ctime).

The racy-write rule: a digest is remembered only if the file had been unmodified for longer than the clock
resolution of its file system, because a second write within one tick would leave the same stamps.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from polytune.engine.ledger import Ledger
from polytune.files import digest_of
from polytune.fingerprint import fingerprint
from polytune.globs import has_magic, matches

fine_clock_ns = 50_000_000
"""Required age on file systems with sub-second timestamps: kernels tick at 100 Hz or faster."""
coarse_clock_ns = 2_100_000_000
"""Required age where timestamps are whole seconds, or 2 s as on FAT."""


unkept = (".git", "__pycache__")
"""Folders that are no content of the folder they are in."""


class FileMemory:
    """Returns the digest of a file, and reads the file only when its stat is new."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._seen: dict[tuple[int, ...], str] = {}
        """What this process has found out."""

    def digest(self, path: Path) -> str | None:
        """Return the SHA-256 of the file's bytes; None when it is not a regular file or does not exist.

        For a pattern such as `data/**/*.json`: a digest of the names and bytes of all files that it matches.
        """
        try:
            before = os.stat(path)
            if not stat.S_ISREG(before.st_mode):
                return None
            return self._remembered(before) or self._hashed(path, before)
        except (FileNotFoundError, NotADirectoryError):
            return self._matched(path) if has_magic(str(path)) else None

    def content(self, path: Path) -> str | None:
        """Return the digest of what is at a path: a file's as `digest`, or a folder's content tree.

        A tree's digest covers the names, relative to the folder, and the bytes of all files in it, links
        followed. None where there is neither. Only new or changed files are read.
        """
        if not path.is_dir():
            return self.digest(path)
        found = {name: self.digest(file) for name, file in tree(path)}
        return fingerprint("polytune.tree.v1", {name: digest for name, digest in found.items() if digest})

    def _matched(self, pattern: Path) -> str | None:
        found = {str(path): self.digest(path) for path in matches(pattern)}
        return fingerprint("polytune.pattern.v1", dict(found)) if found else None

    def _remembered(self, found: os.stat_result) -> str | None:
        identity = _identity(found)
        if identity in self._seen:
            return self._seen[identity]
        row = self.ledger.connection.execute(
            "SELECT digest FROM files WHERE device = ? AND inode = ? AND size = ? AND mtime_ns = ?"
            " AND ctime_ns = ?",
            identity,
        ).fetchone()
        return row[0] if row else None

    def _hashed(self, path: Path, before: os.stat_result) -> str:
        started = time.time_ns()
        digest = digest_of(path)
        after = os.stat(path)
        # A write within one clock tick leaves the same stamps, so the digest of a fresh file is not kept.
        if _identity(before) == _identity(after) and _quiet(after, started):
            self._remember(after, digest)
        return digest

    def _remember(self, found: os.stat_result, digest: str) -> None:
        self._seen[_identity(found)] = digest
        if self.ledger.refusal:
            return
        with self.ledger.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO files (device, inode, size, mtime_ns, ctime_ns, digest)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (*_identity(found), digest),
            )


def tree(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield every file below a folder with its POSIX path in it, in the order of their names.

    Left out: what programs and git keep beside the content (`unkept`), and a link to a folder that holds it.
    """
    waiting = [(folder, "", frozenset[str]())]
    while waiting:
        place, prefix, above = waiting.pop()
        real = os.path.realpath(place)
        if real in above:
            continue
        inner = []
        for entry in sorted(os.scandir(place), key=lambda each: each.name):
            name = f"{prefix}{entry.name}"
            if entry.is_dir():
                if entry.name not in unkept:
                    inner.append((Path(entry.path), f"{name}/", above | {real}))
            elif entry.is_file():
                yield name, Path(entry.path)
        waiting += reversed(inner)


def _identity(found: os.stat_result) -> tuple[int, ...]:
    numbers = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return tuple(_signed(number) for number in numbers)


def _quiet(found: os.stat_result, at_ns: int) -> bool:
    changed = max(found.st_mtime_ns, found.st_ctime_ns)
    # Two stamps with no fraction of a second: the file system almost certainly stores whole seconds.
    coarse = found.st_mtime_ns % 1_000_000_000 == 0 and found.st_ctime_ns % 1_000_000_000 == 0
    return at_ns - changed >= (coarse_clock_ns if coarse else fine_clock_ns)


def _signed(number: int) -> int:
    """Map an unsigned 64-bit number to SQLite's signed one; device and inode numbers may be that large."""
    return number - (1 << 64) if number >= 1 << 63 else number
