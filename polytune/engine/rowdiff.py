"""Aligns the rows of two datasets by identity, as streams: per row it keeps only a few hashes and numbers.

    old rows ---> table of (identity, place, content)
    new rows ---> found there: same, changed (different content) or moved (different group); else unmatched
    unmatched on both sides: aligned by a second identity, which the caller computes from the content

The caller defines what an identity and a group are.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec


class DatasetRow(NamedTuple):
    """One row of a dataset."""

    key: str
    """Its identity, unique in the dataset."""
    group: str
    """The file that holds it."""
    line: int
    """Its line in that file, counted from 1."""
    content: bytes


class RowPlace(NamedTuple):
    """The place of a row."""

    group: str
    line: int


class Move(NamedTuple):
    """The places of one row on both sides."""

    old: RowPlace
    new: RowPlace


class GroupCount(msgspec.Struct, kw_only=True):
    """Counts for the rows of one group: new = old + added - removed + moved_in - moved_out."""

    name: str
    old: int = 0
    new: int = 0
    added: int = 0
    removed: int = 0
    changed: int = 0
    """Rows with different content, counted in the group they are in now."""
    moved_in: int = 0
    """From another group; also counted as changed if the content changed."""
    moved_out: int = 0


@dataclass
class Alignment:
    """Counts of all rows of both sides, and the first few places of each kind."""

    shown: int
    """The maximum number of places kept of each kind."""
    groups: dict[str, GroupCount] = field(default_factory=dict)
    same: int = 0
    """Rows with the same content in the same group."""
    by_content: int = 0
    """Rows that were aligned only by the second identity."""
    added: list[RowPlace] = field(default_factory=list)
    removed: list[RowPlace] = field(default_factory=list)
    changed: list[Move] = field(default_factory=list)
    moved: list[Move] = field(default_factory=list)
    """Moved rows with unchanged content."""

    def group(self, name: str) -> GroupCount:
        """Return the counts of that group."""
        return self.groups.setdefault(name, GroupCount(name=name))

    def pair(self, old: RowPlace, new: RowPlace, *, same_content: bool) -> None:
        """Count a row that both sides have."""
        if old.group != new.group:
            self.group(old.group).moved_out += 1
            self.group(new.group).moved_in += 1
        if not same_content:
            self.group(new.group).changed += 1
            self._keep(self.changed, Move(old, new))
        elif old.group != new.group:
            self._keep(self.moved, Move(old, new))
        else:
            self.same += 1

    def add(self, place: RowPlace) -> None:
        """Count a row that only the new side has."""
        self.group(place.group).added += 1
        self._keep(self.added, place)

    def remove(self, place: RowPlace) -> None:
        """Count a row that only the old side has."""
        self.group(place.group).removed += 1
        self._keep(self.removed, place)

    def _keep(self, places: list[RowPlace] | list[Move], place: RowPlace | Move) -> None:
        if len(places) < self.shown:
            places.append(place)  # type: ignore[arg-type]


class _Table:
    """The old rows: identity to position, and the place and content of each position, as numbers.

    Numbers, not texts, so that memory use does not depend on the length of the rows.
    """

    def __init__(self) -> None:
        self.positions: dict[int, int] = {}
        self.names: list[str] = []
        self.groups = array("H")
        self.lines = array("q")
        self.contents = array("q")
        self.taken = bytearray()

    def add(self, row: DatasetRow) -> None:
        """Add an old row."""
        # Python's 64-bit hash instead of the key: it lives only as long as this process, and a collision in
        # a dataset of a million rows has a probability of about 3e-8.
        self.positions.setdefault(hash(row.key), len(self.lines))
        if row.group not in self.names:
            self.names.append(row.group)
        self.groups.append(self.names.index(row.group))
        self.lines.append(row.line)
        self.contents.append(hash(row.content))
        self.taken.append(0)

    def take(self, key: str) -> int | None:
        """Return the position of the row with that identity, the first time only."""
        position = self.positions.get(hash(key))
        if position is None or self.taken[position]:
            return None
        self.taken[position] = 1
        return position

    def place(self, position: int) -> RowPlace:
        return RowPlace(self.names[self.groups[position]], self.lines[position])


Rows = Callable[[], Iterable[DatasetRow]]
"""Reads a dataset from its beginning."""
SecondKey = Callable[[DatasetRow], str]
"""Returns a second identity of a row; '' for none."""


@dataclass(frozen=True)
class DatasetSide:
    """One side's rows, and a second identity for those whose first one has no match."""

    rows: Rows
    second_key: SecondKey


def align(old: DatasetSide, new: DatasetSide, shown: int) -> Alignment:
    """Align every row of the two datasets."""
    found = Alignment(shown)
    table = _Table()
    for row in old.rows():
        table.add(row)
        found.group(row.group).old += 1
    left = _first_pass(table, new, found)
    # The second pass reads both datasets again rather than keep rows in memory. It is rarely needed.
    candidates = _candidates(table, old) if left else {}
    _second_pass(table, new, found, _Left(left, candidates))
    for position, taken in enumerate(table.taken):
        if not taken:
            found.remove(table.place(position))
    return found


@dataclass(frozen=True)
class _Left:
    """What the first pass could not align."""

    numbers: array[int]
    """Numbers of new rows, ascending."""
    candidates: dict[int, list[int]]
    """Second identity -> positions of old rows, last first."""


def _first_pass(table: _Table, new: DatasetSide, found: Alignment) -> array[int]:
    left = array("q")
    for number, row in enumerate(new.rows()):
        found.group(row.group).new += 1
        position = table.take(row.key)
        if position is None:
            left.append(number)
        else:
            _pair(table, position, row, found)
    return left


def _candidates(table: _Table, old: DatasetSide) -> dict[int, list[int]]:
    candidates: dict[int, list[int]] = {}
    if all(table.taken):
        return candidates
    for position, row in enumerate(old.rows()):
        if not table.taken[position] and (key := old.second_key(row)):
            candidates.setdefault(hash(key), []).append(position)
    for positions in candidates.values():
        # Popped from the end, so equal rows are paired in file order.
        positions.reverse()
    return candidates


def _second_pass(table: _Table, new: DatasetSide, found: Alignment, left: _Left) -> None:
    for row in _numbered(new.rows, left.numbers):
        positions = left.candidates.get(hash(new.second_key(row))) if left.candidates else None
        if not positions:
            found.add(RowPlace(row.group, row.line))
            continue
        position = positions.pop()
        table.taken[position] = 1
        found.by_content += 1
        _pair(table, position, row, found)


def _numbered(rows: Rows, numbers: array[int]) -> Iterator[DatasetRow]:
    """Yield the rows with those numbers, in order."""
    wanted = iter(numbers)
    following = next(wanted, None)
    if following is None:
        return
    for number, row in enumerate(rows()):
        if number == following:
            yield row
            following = next(wanted, None)


def _pair(table: _Table, position: int, row: DatasetRow, found: Alignment) -> None:
    same = table.contents[position] == hash(row.content)
    found.pair(table.place(position), RowPlace(row.group, row.line), same_content=same)
