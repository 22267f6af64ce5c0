"""Opens a ledger in a folder that must not be written to.

SQLite reads it in place if that needs no file of its own; otherwise it is read from a copy in memory:

    no -wal file     in place, as unchanging: no process has it open
    a -wal file      in place, if the -shm file beside it can be read
    anything else    a copy; also for a schema of an earlier version, which is migrated there
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from polytune.errors import LedgerError

attempts = 5
"""How often to copy a ledger that another process keeps changing."""


def open_unwritten(path: Path, schema: int) -> sqlite3.Connection:
    """Return a connection to the ledger, or to a copy in memory unless it has at least that schema version.

    Raises LedgerError when it cannot be read.
    """
    try:
        return _in_place(path, schema) or _in_memory(path)
    except (OSError, sqlite3.Error) as error:
        raise LedgerError(f"{path}: cannot be read ({error})") from error


def has_log(path: Path) -> bool:
    """Whether a write-ahead log is left beside the ledger: it is open, or was never closed."""
    return _log(path).exists()


def _in_place(path: Path, schema: int) -> sqlite3.Connection | None:
    mode = "mode=ro&readonly_shm=1" if has_log(path) else "mode=ro&immutable=1"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None, check_same_thread=False
    )
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError:
        version = -1
    if version >= schema:
        return connection
    connection.close()
    return None


def _in_memory(path: Path) -> sqlite3.Connection:
    with TemporaryDirectory(prefix="polytune-") as folder:
        copy = Path(folder) / path.name
        _copied(path, copy)
        target = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        with closing(sqlite3.connect(copy)) as source:
            source.backup(target)
    return target


def _copied(path: Path, copy: Path) -> None:
    """Copy the database and its log as they are at one moment."""
    for _ in range(attempts):
        before = _stamps(path)
        shutil.copyfile(path, copy)
        _log(copy).unlink(missing_ok=True)
        if has_log(path):
            shutil.copyfile(_log(path), _log(copy))
        if _stamps(path) == before:
            return
    raise LedgerError(f"{path}: another process keeps changing it. Try again")


def _stamps(path: Path) -> list[tuple[int, int]]:
    found = [os.stat(each) for each in (path, _log(path)) if each.exists()]
    return [(each.st_size, each.st_mtime_ns) for each in found]


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")
