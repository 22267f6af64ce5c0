"""Reads the lines of a file one megabyte at a time, whatever their content."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, NamedTuple

from polytune.errors import DataError

chunk_bytes = 1 << 20
longest_line_bytes = 64 << 20
"""Bounds memory when the file is not JSON lines, such as one large JSON array."""


@dataclass(frozen=True)
class LineBlock:
    """Consecutive whole lines."""

    first: int
    """The number of the first line, from 1."""
    raw: bytes
    """The lines as one piece, without the newline of the last one."""

    @cached_property
    def lines(self) -> list[bytes]:
        """The lines without their newlines; carriage returns before them are kept."""
        return self.raw.split(b"\n")


class Span(NamedTuple):
    """The place of a block in its file."""

    first: int
    """The number of its first line."""
    offset: int
    size: int


def blocks(path: Path) -> Iterator[LineBlock]:
    """Every line of a file, in order; the last one may lack its newline.

    Raises DataError when the file cannot be read, or a line is longer than `longest_line_bytes`.
    """
    with _opened(path) as file:
        yield from _blocks(file, path)


def spans(path: Path) -> Iterator[Span]:
    """The places of the blocks of a file. Raises what `blocks` raises."""
    offset = 0
    for block in blocks(path):
        yield Span(block.first, offset, len(block.raw))
        offset += len(block.raw) + 1


def block_at(path: Path, span: Span) -> LineBlock:
    """The block at that place. Raises DataError when the file cannot be read."""
    with _opened(path) as file:
        file.seek(span.offset)
        return LineBlock(span.first, file.read(span.size))


def expected_lines(path: Path) -> int:
    """An estimate of the number of lines from the file's first block; for sizing tables."""
    first = next(blocks(path), None)
    return path.stat().st_size * len(first.lines) // (len(first.raw) + 1) if first else 0


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb", buffering=0) as file:
            yield file
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}. Check the path.") from error


def _blocks(file: IO[bytes], path: Path) -> Iterator[LineBlock]:
    # `begun` collects a line that spans chunks; it is joined once, so that a long line is copied only once.
    number, begun, begun_bytes = 1, [b""], 0
    while chunk := file.read(chunk_bytes):
        end = chunk.rfind(b"\n")
        if end >= 0:
            begun.append(chunk[:end])
            block = LineBlock(number, b"".join(begun))
            yield block
            number += len(block.lines)
            begun, begun_bytes = [], 0
        begun.append(chunk[end + 1 :])
        begun_bytes += len(begun[-1])
        if begun_bytes > longest_line_bytes:
            raise DataError(
                f"{path}:{number}: the line is longer than {longest_line_bytes >> 20} MiB. "
                "Give a file with one JSON object on each line."
            )
    if begun_bytes:
        yield LineBlock(number, b"".join(begun))
