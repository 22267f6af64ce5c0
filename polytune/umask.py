"""The permissions of new files: narrow for what a workspace holds, the user's own for everything else."""

from __future__ import annotations

import os
from pathlib import Path

# A umask belongs to the process, so what it was before does too.
_usual: list[int] = []


def narrow(mask: int) -> None:
    """From now on, this process and its children withhold these permissions from new files."""
    before = os.umask(mask)
    if not _usual:
        _usual.append(before)


def usual() -> int:
    """Return the umask that this process was started with."""
    if _usual:
        return _usual[0]
    # The only way to read it is to set it.
    current = os.umask(0o077)
    os.umask(current)
    return current


def like_any_file(path: Path) -> None:
    """Give a file the permissions that it would have without `narrow`."""
    path.chmod(0o666 & ~usual())
