"""Keeps small values that are slow to make and belong to no workspace, in the user's cache folder.

Losing them costs time only. A folder that cannot be used is silently not used.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from polytune.files import write_whole

most_files = 200
"""Files to keep, the latest ones."""
most_bytes = 16_000_000
"""Size of the largest file that is kept."""


class UserCache:
    """Values under identities, which are file names. An identity says all that its value depends on."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds nothing else."""
        self.folder = folder

    def get(self, identity: str) -> bytes | None:
        """Return the value that was kept, or None."""
        with suppress(OSError):
            found = self.folder.stat()
            # Nothing is believed of a folder that others can write to.
            if found.st_uid == os.geteuid() and not found.st_mode & 0o022:
                return (self.folder / identity).read_bytes()
        return None

    def put(self, identity: str, value: bytes) -> None:
        """Keep the value if possible, and remove what is too old."""
        # Without a home, the path stays relative.
        if len(value) > most_bytes or not self.folder.is_absolute():
            return
        with suppress(OSError):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700, exist_ok=True)
            write_whole(self.folder / identity, value)
            kept = sorted(os.scandir(self.folder), key=lambda each: each.stat().st_mtime_ns, reverse=True)
            for old in kept[most_files:]:
                os.unlink(old)
