"""Statistics of a validated dataset: numbers of rows, their lengths, their matrix cells."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import msgspec

from polytune.data.lines import LineBlock
from polytune.data.workers import WorkerPool
from polytune.errors import DataError


class TokenStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Estimated tokens: characters divided by the base model's characters per token, rounded up per row."""

    total: int
    p50: int
    p90: int
    p99: int
    max: int


class SplitStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """The statistics of one split's file."""

    split: str
    file: str
    """The file's name."""
    rows: int
    """Lines that are not blank."""
    readable_rows: int
    """Rows that could be read as a conversation; the numbers below are about these."""
    bytes: int
    characters: int
    tokens: TokenStatistics
    longest_row: int
    """The line of the row with the most characters; 0 when there is none."""
    duplicate_rows: int
    """Rows whose prompt and answer occur earlier in the same file, ignoring whitespace."""
    leaked_prompts: int
    """Rows whose prompt occurs in a split checked before this one, ignoring whitespace."""
    cells: dict[str, int]
    """Rows by matrix cell, such as `style=techno, complexity=simple`; empty without provenance."""


class Lengths:
    """A histogram of row lengths in characters."""

    def __init__(self) -> None:
        self.rows_of: Counter[int] = Counter()
        self.longest = 0
        self.longest_row = 0

    def add(self, characters: Sequence[int], lines: Sequence[int]) -> None:
        """The lengths of rows on these lines are counted."""
        self.rows_of.update(characters)
        longest = max(characters, default=0)
        if longest > self.longest:
            self.longest, self.longest_row = longest, lines[characters.index(longest)]

    @property
    def rows(self) -> int:
        """The number of rows counted."""
        return self.rows_of.total()

    @property
    def characters(self) -> int:
        """The characters of all rows."""
        return sum(length * rows for length, rows in self.rows_of.items())

    def tokens(self, chars_per_token: float) -> TokenStatistics:
        """The estimates; a percentile is the smallest length that this share of the rows does not exceed."""
        return TokenStatistics(
            total=sum(ceil(length / chars_per_token) * rows for length, rows in self.rows_of.items()),
            p50=ceil(self._percentile(50) / chars_per_token),
            p90=ceil(self._percentile(90) / chars_per_token),
            p99=ceil(self._percentile(99) / chars_per_token),
            max=ceil(self.longest / chars_per_token),
        )

    def _percentile(self, percent: int) -> int:
        wanted, passed = -(-self.rows * percent // 100), 0
        for length in sorted(self.rows_of):
            passed += self.rows_of[length]
            if passed >= wanted:
                return length
        return 0


class _Provenance(msgspec.Struct, frozen=True, gc=False):
    split: str
    cell: msgspec.Raw


_decoder = msgspec.json.Decoder(_Provenance)


def cells_by_split(provenance: Path, pool: WorkerPool) -> dict[str, dict[str, int]]:
    """Rows by split and matrix cell. Raises DataError at a line that is not provenance."""
    counted: dict[str, Counter[bytes]] = defaultdict(Counter)
    for counts in pool.results(provenance, CellCount(provenance)):
        for (split, cell), rows in counts.items():
            counted[split][cell] += rows
    return {split: _labelled(cells) for split, cells in counted.items()}


@dataclass(frozen=True, slots=True)
class CellCount:
    """Counts the rows in blocks of a provenance file."""

    provenance: Path

    def __call__(self, block: LineBlock) -> Counter[tuple[str, bytes]]:
        """Rows by split and cell. Raises DataError when a line is not provenance."""
        try:
            rows = _decoder.decode_lines(block.raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            place = f"{self.provenance}: lines {block.first} to {block.first + len(block.lines) - 1}"
            raise DataError(f"{place}: not provenance: {error}. Run the format step again.") from error
        return Counter([(row.split, bytes(row.cell)) for row in rows])


def _labelled(counted: Mapping[bytes, int]) -> dict[str, int]:
    cells: dict[str, int] = {}
    for written, rows in counted.items():
        label = _label(written)
        cells[label] = cells.get(label, 0) + rows
    return cells


def _label(written: bytes) -> str:
    cell = msgspec.json.decode(written, type=dict[str, str | int | float | bool])
    return ", ".join(f"{axis}={cell[axis]}" for axis in sorted(cell))
