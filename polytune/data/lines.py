"""Files of lines, read a megabyte at a time, whatever is in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from polytune.errors import DataError

chunk_bytes = 1 << 20
longest_line_bytes = 64 << 20


class LineBlock(NamedTuple):
    """Consecutive whole lines."""

    first: int
    """The number of the first line, counted from 1."""
    lines: list[bytes]
    """Without their newlines; a carriage return before one is kept."""
    raw: bytes
    """The same bytes in one piece, to search them all at once."""


def blocks(path: Path) -> Iterator[LineBlock]:
    """Every line of a file, in order; the last one may lack its newline.

    Raises DataError when the file cannot be read, or a line is longer than `longest_line_bytes`.
    """
    try:
        with path.open("rb", buffering=0) as file:
            yield from _blocks(file, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}. Check the path.") from error


def expected_lines(path: Path) -> int:
    """About how many lines the file has, judging by its beginning; for sizing tables."""
    first = next(blocks(path), None)
    return path.stat().st_size * len(first.lines) // (len(first.raw) + 1) if first else 0


def _blocks(file: IO[bytes], path: Path) -> Iterator[LineBlock]:
    number, begun, begun_bytes = 1, [b""], 0
    while chunk := file.read(chunk_bytes):
        end = chunk.rfind(b"\n")
        if end >= 0:
            begun.append(chunk[:end])
            raw = b"".join(begun)
            lines = raw.split(b"\n")
            yield LineBlock(number, lines, raw)
            number += len(lines)
            begun, begun_bytes = [], 0
        begun.append(chunk[end + 1 :])
        begun_bytes += len(begun[-1])
        if begun_bytes > longest_line_bytes:
            raise DataError(
                f"{path}:{number}: the line is longer than {longest_line_bytes >> 20} MiB. "
                "Give a file with one JSON object on each line."
            )
    if begun_bytes:
        raw = b"".join(begun)
        yield LineBlock(number, [raw], raw)
