"""A few rows of a file: the first ones, or a uniform random sample."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import msgspec

from polytune.data.reading import BadRow, Row, read_rows


class Excerpt(msgspec.Struct, frozen=True, kw_only=True):
    """A row as commands show it."""

    line: int
    id: str
    """The row's id for `lint --allow`; '' for a line that is not a row."""
    layout: str
    system: str = ""
    prompt: str = ""
    answer: str = ""
    problem: str = ""
    """Why the line is not a row; '' for a row."""


def excerpt(row: Row | BadRow) -> Excerpt:
    """The excerpt of a row, or of what is wrong with the line."""
    if isinstance(row, BadRow):
        place = f"{row.path}: " if row.path else ""
        return Excerpt(line=row.line, id="", layout="", problem=f"{place}{row.reason}")
    return Excerpt(
        line=row.line,
        id=row.key,
        layout=row.layout,
        system=row.system,
        prompt=row.prompt,
        answer=row.answer,
    )


def head(path: Path, count: int) -> list[Excerpt]:
    """The first rows; reads no more of the file than that takes."""
    return [excerpt(row) for row in islice(read_rows(path), count)]


def drawn(path: Path, count: int, seed: int = 0) -> list[Excerpt]:
    """A uniform random sample of `count` rows, in file order; the same for the same file and seed."""
    return [
        excerpt(row) for row in sorted(_reservoir(read_rows(path), count, seed), key=lambda row: row.line)
    ]


def _reservoir(rows: Iterable[Row | BadRow], count: int, seed: int) -> list[Row | BadRow]:
    # Reservoir sampling: one pass, and only `count` rows in memory.
    dice, held = random.Random(seed), list[Row | BadRow]()
    for number, row in enumerate(rows):
        if number < count:
            held.append(row)
        elif (place := dice.randrange(number + 1)) < count:
            held[place] = row
    return held
