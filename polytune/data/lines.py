"""Files of lines, read a megabyte at a time, whatever is in them."""

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


@dataclass(frozen=True)
class LineBlock:
    """Consecutive whole lines."""

    first: int
    """The number of the first line, counted from 1."""
    raw: bytes
    """The lines in one piece, without the newline of the last one."""

    @cached_property
    def lines(self) -> list[bytes]:
        """The lines without their newlines; a carriage return before one is kept."""
        return self.raw.split(b"\n")


class Span(NamedTuple):
    """Where a block stands in its file."""

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
    """Where the blocks of a file stand. Raises what `blocks` raises."""
    offset = 0
    for block in blocks(path):
        yield Span(block.first, offset, len(block.raw))
        offset += len(block.raw) + 1


def block_at(path: Path, span: Span) -> LineBlock:
    """The block that stands there. Raises DataError when the file cannot be read."""
    with _opened(path) as file:
        file.seek(span.offset)
        return LineBlock(span.first, file.read(span.size))


def expected_lines(path: Path) -> int:
    """About how many lines the file has, judging by its beginning; for sizing tables."""
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
    # `begun` collects a line that spans chunks; it is joined once, so that a long line is not copied often.
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
