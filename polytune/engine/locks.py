"""Who works on what: kernel locks (`flock`) that vanish with the process that held them.

A lock file's text says who holds it, since when and for which step. A child started with the
descriptor keeps the lock after its parent dies, so nobody ever has to unlock anything by hand.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from polytune.engine.ledger import utc_now


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a lock."""

    pid: int
    host: str
    since: str
    what: str
    """The run and step: `strudel-v1/20261121T101112-a1b2 train`."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}, for {self.what}"


@contextmanager
def try_lock(path: Path, what: str, *, inheritable: bool = False) -> Iterator[int | None]:
    """The lock is held for the block, and its descriptor given; None when another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, held = _opened(path)
    try:
        if not held:
            yield None
            return
        _sign(descriptor, what)
        os.set_inheritable(descriptor, inheritable)
        yield descriptor
    finally:
        os.close(descriptor)


def holder(path: Path) -> Holder | None:
    """Who holds the lock now, as they signed it; None when it is free."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return None if _shared(descriptor) else _signature(descriptor)
    finally:
        os.close(descriptor)


def _opened(path: Path) -> tuple[int, bool]:
    """A descriptor of the lock file, and whether the lock is ours.

    A file that was removed between opening and locking, as `gc` does with free locks, guards nothing.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        held = _taken(descriptor)
        if not held or os.fstat(descriptor).st_nlink:
            return descriptor, held
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    """Whether the lock is ours now. Who merely looks, as `holder` does, shares it for a moment."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not _shared(descriptor):
                return False
        else:
            return True


def _shared(descriptor: int) -> bool:
    """Whether nobody holds the lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(descriptor: int, what: str) -> None:
    text = msgspec.json.encode(Holder(pid=os.getpid(), host=socket.gethostname(), since=utc_now(), what=what))
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text, 0)


def _signature(descriptor: int) -> Holder:
    try:
        return msgspec.json.decode(os.pread(descriptor, 4096, 0), type=Holder)
    except msgspec.DecodeError:
        return Holder(pid=0, host="unknown", since="just now", what="a run that has not written its name yet")
