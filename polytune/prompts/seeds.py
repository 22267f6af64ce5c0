"""Seed sets: rows of a JSONL or CSV file around which samples are built, one row per sample.

    id,style,topic                  {{ topic }} in a template is the row's topic; a row with a value of an
    rain,ambient,rain on a roof     axis serves only the cells with that value, one that leaves it empty
    train,,a night train            serves all; the sample records the row's id as its `seed`

Rows are used in file order, and each once before any is used again. Rows added at the end therefore change
no sample before the first one that reused a row.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import heapreplace
from math import lcm
from pathlib import Path

import msgspec

from polytune.errors import Problem, SpecError, did_you_mean
from polytune.fingerprint import fingerprint
from polytune.prompts.conditions import Cell, Value
from polytune.spec.model import InputFile, Spec

id_column = "id"
id_digits = 12
shown_problems = 20


Kind = tuple[tuple[str, str], ...]
"""The part of a cell that rows depend on: axes that are also columns, with their values; '' if absent."""


class SeedsSpec(Spec):
    """Rows around which samples are built."""

    path: InputFile
    """A `.jsonl` or `.csv` file. Its columns can be used in templates; a column named like an axis restricts
    a row to cells with that value; `id` names the row."""


@dataclass(frozen=True)
class SeedRow:
    """One row."""

    id: str
    """The column `id`, or else a digest of the row."""
    values: Mapping[str, Value]
    """Every other column that is not empty."""
    line: int


@dataclass(frozen=True)
class SeedSet:
    """Every row of a file, in order."""

    file: str
    """The path as messages show it."""
    rows: tuple[SeedRow, ...]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Every column of any row, in order of first appearance."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.values))

    def slots(self, row: SeedRow, axes: Sequence[str]) -> dict[str, Value]:
        """Return a row's values for templates: its columns except those that are axes."""
        return {name: value for name, value in row.values.items() if name not in axes}

    def problems(self, values: Mapping[str, Sequence[Value]], cells: Sequence[Cell]) -> Iterator[Problem]:
        """Yield conflicts between the rows and a matrix with these values of its axes."""
        wrong = list(self._unknown_values(values))
        yield from wrong
        if wrong:
            return
        for axes, example in self._kinds(cells, list(values)).items():
            if not any(_fits_kind(row, axes) for row in self.rows):
                named = " and ".join(f"{axis} '{value}'" for axis, value in example.items()) or "any cell"
                yield Problem(
                    self.file, 0, 0, "", f"no row is for {named}; add one, or leave the column empty"
                )

    def _unknown_values(self, values: Mapping[str, Sequence[Value]]) -> Iterator[Problem]:
        for axis, known in values.items():
            texts = list(map(str, known))
            for row in self.rows:
                if axis in row.values and str(row.values[axis]) not in texts:
                    found = str(row.values[axis])
                    what = f"'{found}' is not a value of the axis '{axis}'.{did_you_mean(found, texts)}"
                    yield Problem(self.file, row.line, 1, axis, what)

    def _kinds(self, cells: Sequence[Cell], axes: Sequence[str]) -> dict[Kind, dict[str, Value]]:
        """Return the kinds of cells that rows distinguish, each with an example for messages."""
        told = [axis for axis in axes if axis in self.columns]
        return {kind_of(cell, told): {axis: cell[axis] for axis in told if axis in cell} for cell in cells}


def kind_of(cell: Cell, told: Sequence[str]) -> Kind:
    """Return the kind of a cell, by the axes that rows distinguish."""
    return tuple((axis, str(cell.get(axis, ""))) for axis in told)


def _fits_kind(row: SeedRow, kind: Kind) -> bool:
    return all(str(row.values.get(axis, value)) == value for axis, value in kind)


class SeedRota:
    """Chooses the row of a cell's next sample: the least used one among those that serve the cell.

    Rows used equally often come in file order. After as many passes as it takes for rows and cells to pair
    up as before, that order is rotated by one, so that a row does not always meet the same cells.
    """

    def __init__(self, seeds: SeedSet, cells: Sequence[Cell], axes: Sequence[str]) -> None:
        told = [axis for axis in axes if axis in seeds.columns]
        self._kind_of = [kind_of(cell, told) for cell in cells]
        self._uses = [0] * len(seeds.rows)
        self._queues = {
            kind: _Queue([place for place, row in enumerate(seeds.rows) if _fits_kind(row, kind)], number)
            for kind, number in Counter(self._kind_of).items()
        }

    def next(self, cell: int) -> int:
        """Return the position of the next row for a cell, given by its own position."""
        row = self._queues[self._kind_of[cell]].least(self._uses)
        self._uses[row] += 1
        return row


class _Queue:
    """The rows that serve cells of one kind, least used first."""

    def __init__(self, rows: Sequence[int], cells: int) -> None:
        self._size = len(rows)
        self._turns_after = lcm(cells, len(rows)) // max(1, len(rows))
        self._waiting = [(0, place, place, row) for place, row in enumerate(rows)]

    def least(self, uses: Sequence[int]) -> int:
        """Return the least used row.

        Rows that other kinds of cells have used meanwhile are requeued lazily, when they reach the front.
        """
        while True:
            known, _, place, row = self._waiting[0]
            if uses[row] == known:
                return row
            turned = (place - uses[row] // self._turns_after) % self._size
            heapreplace(self._waiting, (uses[row], turned, place, row))


def read_seeds(path: Path, shown: str = "") -> SeedSet:
    """Read the rows of a file. Raises SpecError with the bad lines; `shown` is the path to print there."""
    file = shown or str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError([Problem(file, 0, 0, "", f"cannot be read as UTF-8 text: {error}")]) from error
    reading = _SeedReader(file)
    (reading.csv if path.suffix.lower() == ".csv" else reading.jsonl)(text)
    if not reading.rows and not reading.problems:
        reading.add(0, "", "has no rows")
    if reading.problems:
        raise SpecError(reading.problems[:shown_problems])
    return SeedSet(file, tuple(reading.rows))


class _SeedReader:
    """The rows and problems of one file so far."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.rows: list[SeedRow] = []
        self.problems: list[Problem] = []
        self._lines: dict[str, int] = {}

    def add(self, line: int, where: str, what: str) -> None:
        self.problems.append(Problem(self.file, line, min(line, 1), where, what))

    def jsonl(self, text: str) -> None:
        # Not splitlines(): U+2028 and other separators are valid inside a JSON string.
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            try:
                stated = msgspec.json.decode(line)
            except msgspec.DecodeError as error:
                self.add(number, "", f"not JSON: {error}")
                continue
            if isinstance(stated, dict):
                self.row(stated, number)
            else:
                self.add(number, "", 'a row is a JSON object, such as {"topic": "rain"}')

    def csv(self, text: str) -> None:
        reader = csv.reader(io.StringIO(text), strict=True)
        try:
            names = next(reader, [])
            for cells in reader:
                if not any(cells):
                    continue
                if len(cells) != len(names):
                    what = f"has {len(cells)} columns; the first line has {len(names)}"
                    self.add(reader.line_num, "", what)
                else:
                    self.row(dict(zip(names, cells, strict=True)), reader.line_num)
        except csv.Error as error:
            self.add(reader.line_num, "", f"not CSV: {error}")

    def row(self, stated: Mapping[str, object], line: int) -> None:
        values: dict[str, Value] = {}
        before = len(self.problems)
        for name, value in stated.items():
            if value is None or value == "":
                continue
            if not name.isidentifier():
                what = f"the column '{name}' cannot be used in a template; letters, digits and _ can"
                self.add(line, "", what)
            elif isinstance(value, bool) or not isinstance(value, str | int | float):
                self.add(line, name, "must be a text or a number")
            else:
                values[name] = value
        if len(self.problems) > before:
            return
        # A digest, not the line number, so that inserting a row does not rename the others.
        name = str(values.pop(id_column, "")) or fingerprint("polytune.seed.v1", values)[:id_digits]
        if name in self._lines:
            self.add(line, "", f"is the same seed as line {self._lines[name]}: '{name}'")
        self._lines.setdefault(name, line)
        self.rows.append(SeedRow(name, values, line))
