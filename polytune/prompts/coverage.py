"""Coverage: how many samples each value of an axis and each pair of values has, compared with its weight.

                 due    got
style techno    75.0     75
style house     25.0     22   -3.0
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol, runtime_checkable

from polytune.prompts.conditions import Cell, Value
from polytune.prompts.matrix import Matrix

Part = tuple[tuple[str, Value], ...]
"""One value of one axis, or one of each of two axes: (("style", "techno"),)."""

Row = tuple[str, str, str, str, str]


@dataclass(frozen=True)
class Covered:
    """The number of samples of one value or pair of values."""

    part: Part
    due: float
    """Number of samples according to the weights; fractional where they do not divide evenly."""
    got: int

    @property
    def name(self) -> str:
        """`techno`, or `techno, simple`."""
        return ", ".join(str(value) for _, value in self.part)

    @property
    def short(self) -> float:
        """Number of missing samples; negative when there are too many."""
        return self.due - self.got


@dataclass(frozen=True)
class Coverage:
    """How a set of samples covers a matrix."""

    samples: int
    cells: int
    axes: Mapping[str, tuple[Covered, ...]]
    """By axis; its values in the order of the matrix."""
    pairs: Mapping[tuple[str, str], tuple[Covered, ...]]

    @property
    def widest(self) -> float:
        """The largest deviation of any value or pair from its due number."""
        parts = [each for rows in (*self.axes.values(), *self.pairs.values()) for each in rows]
        return max((abs(each.short) for each in parts), default=0.0)

    def facts(self) -> dict[str, dict[str, tuple[float, int]]]:
        """Return the coverage for records: axis, or `axis, axis`, then value -> (due, got)."""
        named = {**self.axes, **{", ".join(pair): rows for pair, rows in self.pairs.items()}}
        return {
            title: {each.name: (round(each.due, 2), each.got) for each in rows}
            for title, rows in named.items()
        }

    def axis_rows(self) -> list[Row]:
        """Return table rows: axis, value, due, got, and the deviation if it is a whole sample or more."""
        return [_row(axis, each) for axis, rows in self.axes.items() for each in rows]


def _row(title: str, each: Covered) -> Row:
    off = f"{-each.short:+.1f}" if abs(each.short) >= 1 else ""
    return title, each.name, f"{each.due:.1f}", str(each.got), off


def coverage(matrix: Matrix, got: Iterable[Cell], samples: int | None = None) -> Coverage:
    """Return how samples of these cells cover the matrix, out of `samples` in all (default: their number)."""
    counts = Counter(tuple(cell.items()) for cell in got)
    # `samples` is the planned number, so that dropped samples show as missing.
    wanted = counts.total() if samples is None else samples
    cells = matrix.cells()
    shares = matrix.shares(cells)
    whole = sum(shares)
    due = {tuple(cell.items()): wanted * share / whole for cell, share in zip(cells, shares, strict=True)}
    return Coverage(
        samples=counts.total(),
        cells=len(cells),
        axes={axis: _covered((axis,), due, counts) for axis in matrix.axes},
        pairs={pair: _covered(pair, due, counts) for pair in combinations(matrix.axes, 2)},
    )


def _covered(axes: Sequence[str], due: Mapping[Part, float], counts: Counter[Part]) -> tuple[Covered, ...]:
    wanted: dict[Part, float] = {}
    for cell, amount in due.items():
        part = _part(axes, cell)
        if part is not None:
            wanted[part] = wanted.get(part, 0.0) + amount
    found: Counter[Part] = Counter()
    for cell, count in counts.items():
        part = _part(axes, cell)
        if part is not None:
            found[part] += count
    return tuple(Covered(part, amount, found[part]) for part, amount in sorted(wanted.items(), key=str))


def _part(axes: Sequence[str], cell: Part) -> Part | None:
    """Return a cell's values on some axes; None when it lacks one of them."""
    values = dict(cell)
    return tuple((axis, values[axis]) for axis in axes) if all(axis in values for axis in axes) else None


@runtime_checkable
class PlansSamples(Protocol):
    """A step that draws its samples by a sampling plan."""

    def planned_coverage(self) -> Coverage:
        """What the whole plan covers of its matrix."""
