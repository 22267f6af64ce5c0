"""Locks on steps, runs and jobs: kernel locks (`flock`), which the kernel releases when their process ends.

The text of a lock file names the holder, the time and the step. A child process that inherits the descriptor
keeps the lock after its parent ends. No lock ever has to be removed by hand.
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
    """The run and step, such as `strudel-v1/20261121T101112-a1b2 train`."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}, for {self.what}"


@contextmanager
def try_lock(path: Path, what: str, *, inheritable: bool = False) -> Iterator[int | None]:
    """Hold the lock for the block and yield its descriptor; yield None when another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, held = _opened(path)
    try:
        if not held:
            yield None
            return
        _sign(descriptor, what)
        # Python's descriptors are not inheritable by default. Only a job's child may keep the lock: a
        # helper process that inherited it by accident would block every later run.
        os.set_inheritable(descriptor, inheritable)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock for the block, alone; wait for those who share it or hold it."""
    with _waited(path, fcntl.LOCK_EX):
        yield


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold the lock for the block, with others who share it; wait for one who holds it alone."""
    with _waited(path, fcntl.LOCK_SH):
        yield


@contextmanager
def _waited(path: Path, kind: int) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


def holder(path: Path) -> Holder | None:
    """Return who holds the lock, as signed by the holder; None when it is free."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return None if _shared(descriptor) else _signature(descriptor)
    finally:
        os.close(descriptor)


def is_held(path: str) -> bool:
    """Whether a process holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _shared(descriptor)
    finally:
        os.close(descriptor)


def _opened(path: Path) -> tuple[int, bool]:
    """Return a descriptor of the lock file, and whether this process now holds the lock.

    A file that was removed between opening and locking, as `gc` does with free locks, protects nothing:
    the next process creates a new file under the same name. Such a file is opened again.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        held = _taken(descriptor)
        if not held or os.fstat(descriptor).st_nlink:
            return descriptor, held
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    """Whether this process now holds the lock. A process that only looks (`holder`) shares it briefly."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # A shared lock can be taken, so the other one was shared too: someone only looked. Try again.
            if not _shared(descriptor):
                return False
        else:
            return True


def _shared(descriptor: int) -> bool:
    """Whether no process holds the lock exclusively. Takes a shared lock as a side effect."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(descriptor: int, what: str) -> None:
    text = msgspec.json.encode(Holder(pid=os.getpid(), host=socket.gethostname(), since=utc_now(), what=what))
    os.pwrite(descriptor, text, 0)
    # Afterwards: file systems write a file to the disk when it was emptied first, which takes milliseconds.
    os.ftruncate(descriptor, len(text))


def _signature(descriptor: int) -> Holder:
    try:
        return msgspec.json.decode(os.pread(descriptor, 4096, 0), type=Holder)
    except msgspec.DecodeError:
        # The lock is taken before the text is written, so a reader may find it empty or old.
        return Holder(pid=0, host="unknown", since="just now", what="a run that has not written its name yet")
