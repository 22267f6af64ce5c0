"""One digest for a listing of files or objects, so that another listing is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from polytune.fingerprint import canonical


class Listed(Protocol):
    """Something in a listing."""

    @property
    def uri(self) -> str:
        """Its name."""

    @property
    def bytes(self) -> int:
        """Its size."""

    @property
    def etag(self) -> str:
        """What changes with its content."""


def digest_of_objects(listed: Iterable[Listed]) -> str:
    """SHA-256 in 64 hex digits, in flat memory."""
    running = hashlib.sha256()
    for each in listed:
        running.update(canonical([each.uri, each.bytes, each.etag]) + b"\n")
    return running.hexdigest()


def digest_of_files(paths: Iterable[Path], folder: Path) -> str:
    """The same for files, by their sizes and times of change."""
    running = hashlib.sha256()
    for path in paths:
        stat = path.stat()
        name = path.relative_to(folder).as_posix()
        running.update(canonical([name, stat.st_size, stat.st_mtime_ns]) + b"\n")
    return running.hexdigest()
