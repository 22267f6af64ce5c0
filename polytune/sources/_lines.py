"""Numbered lines of plain and gzipped files, in constant memory."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from polytune.data.lines import blocks, longest_line_bytes
from polytune.errors import DataError
from polytune.formats.interface import byte_order_mark

packed = ".gz"


def numbered_lines(path: Path, shown: str) -> Iterator[tuple[int, bytes]]:
    """Every non-blank line, without its line ending, with its number from 1.

    `shown` is the file's name in messages. Raises DataError when the file cannot be read, also mid-file.
    """
    lines = _unpacked(path, shown) if path.name.endswith(packed) else _plain(path)
    for number, line in lines:
        if number == 1:
            line = line.removeprefix(byte_order_mark)
        if line.strip():
            yield number, line


def _plain(path: Path) -> Iterator[tuple[int, bytes]]:
    for block in blocks(path):
        for number, line in enumerate(block.lines, block.first):
            yield number, line.removesuffix(b"\r")


def _unpacked(path: Path, shown: str) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        with gzip.open(path, "rb") as file:
            # The limit bounds memory: a small archive can unpack to one line of gigabytes.
            while line := file.readline(longest_line_bytes):
                number += 1
                if len(line) == longest_line_bytes:
                    raise DataError(
                        f"{shown}:{number}: the line is longer than {longest_line_bytes >> 20} MiB. "
                        "Give files with one JSON object on each line."
                    )
                yield number, line.rstrip(b"\r\n")
    except (OSError, EOFError, zlib.error) as error:
        what = f"{shown}: cannot be unpacked after line {number}: {error}"
        raise DataError(f"{what}. Fetch or make the file again.") from error
