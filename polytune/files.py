"""Files that are either complete or absent (temporary file, fsync, rename), and streamed digests."""

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
    """Return the SHA-256 (64 hex digits) of a file's bytes, streamed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make renames and new names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def beside(path: Path) -> Path:
    """Return a new hidden name in the same folder, for an unfinished file."""
    # The same folder, because a rename is atomic only within one file system. Unique, because several
    # processes may write the same file.
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


@contextmanager
def published(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file that appears under `path`, complete and durable, if the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(path)
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            # Before the rename: otherwise a power failure could leave the new name with empty content.
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Replace the file's content durably; on failure the file stays as it was."""
    with published(path) as file:
        file.write(content)


def copy_whole(source: Path, target: Path) -> str:
    """Write a durable copy of `source` to `target`; return the digest of the bytes copied."""
    with source.open("rb") as reader, published(target) as writer:
        return _copy(reader, writer)


def _copy(reader: IO[bytes], writer: IO[bytes]) -> str:
    running = hashlib.sha256()
    while chunk := reader.read(chunk_bytes):
        running.update(chunk)
        writer.write(chunk)
    return running.hexdigest()


def remove_tree(folder: Path) -> None:
    """Remove the folder and everything in it, if it exists; of a link or a file, only that itself."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)
