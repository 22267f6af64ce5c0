"""Files that are either whole or absent: write beside, fsync, rename; and streamed digests."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

chunk_bytes = 1 << 20


def digest_of(path: Path) -> str:
    """The SHA-256 (64 hex digits) of a file's bytes, streamed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Makes renames and new names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def beside(path: Path) -> Path:
    """A fresh hidden name in the same folder, for a file that is not finished yet."""
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


@contextmanager
def published(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears under `path`, whole and durable, when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(path)
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """The file holds exactly `content`, durably, or is as it was before."""
    with published(path) as file:
        file.write(content)


def copy_whole(source: Path, target: Path) -> str:
    """`target` holds a durable copy of `source`; the digest of the bytes copied is returned."""
    with source.open("rb") as reader, published(target) as writer:
        return _copy(reader, writer)


def _copy(reader: IO[bytes], writer: IO[bytes]) -> str:
    running = hashlib.sha256()
    while chunk := reader.read(chunk_bytes):
        running.update(chunk)
        writer.write(chunk)
    return running.hexdigest()


def remove_tree(folder: Path) -> None:
    """The folder and all below it are gone; fine if they never were."""
    shutil.rmtree(folder, ignore_errors=True)
