"""The matrix: axes and their values, with weights, conditions and excluded combinations; and its cells.

    style: [techno, house]                                  two values, equally often
    style: {techno: 3, house: 1}                            three out of four samples are techno
    level: {values: [1, 2], weights: [3, 1]}                the same for values that are not text
    meter: [4/4, {value: 3/4, when: {style: jazz}}]         3/4 in jazz only
    mood:  [{value: dark, when: {style: techno}}]           techno has a mood; other cells have none

A condition may refer only to axes above its own. The weight of a cell is the product of the weights of its
values, and its share of the samples is its weight divided by that of all cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import product
from math import gcd, lcm, prod
from typing import Annotated

from pydantic import BeforeValidator, Field

from polytune.errors import did_you_mean
from polytune.prompts.conditions import Cell, Condition, Value, holds, wanted
from polytune.prompts.order import balanced_cells
from polytune.spec.model import FieldProblem, Items, Spec

most_cells = 100_000
"""Limit for one matrix; a plan of a million samples would visit each cell ten times."""


class AxisValue(Spec):
    """One value of an axis with a weight or a condition."""

    value: Value
    """The value."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Frequency relative to the other values of the axis."""
    when: Condition = {}
    """Restricts the value to cells with these values of earlier axes: `{style: jazz}` or
    `{style: [jazz, lofi]}`."""


class WeightedValues(Spec):
    """The values of an axis and their weights, in the same order."""

    values: Annotated[Items[Value], Field(min_length=1)]
    """The values."""
    weights: Items[Annotated[float, Field(gt=0)]]
    """One weight per value."""


def _as_list(stated: object) -> object:
    """Convert an axis written as a mapping to a list; return anything else unchanged."""
    if not isinstance(stated, Mapping):
        return stated
    values, weights = stated.get("values"), stated.get("weights")
    if not isinstance(values, tuple | list):
        return [{"value": value, "weight": weight} for value, weight in stated.items()]
    if not isinstance(weights, tuple | list) or set(stated) - {"values", "weights"}:
        raise ValueError("`values` and `weights` must be two lists of the same length")
    if len(weights) != len(values):
        raise ValueError(f"has {len(values)} values and {len(weights)} weights; each value has one weight")
    return [{"value": value, "weight": weight} for value, weight in zip(values, weights, strict=True)]


Axis = Annotated[
    Items[str | int | float | AxisValue],
    Field(min_length=1),
    BeforeValidator(
        _as_list, json_schema_input_type=list[Value | AxisValue] | dict[str, float] | WeightedValues
    ),
]
"""The values of one axis, as a spec states them."""

Axes = Mapping[str, Sequence[Value | AxisValue]]


@dataclass(frozen=True)
class Matrix:
    """Axes, and which combinations of their values are cells."""

    axes: Mapping[str, tuple[AxisValue, ...]]
    exclude: tuple[Condition, ...] = ()
    _cells: dict[int, list[dict[str, Value]]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, axes: Axes | Matrix, exclude: Sequence[Condition] = ()) -> Matrix:
        """Return the matrix that a spec states."""
        if isinstance(axes, Matrix):
            return axes
        stated = {
            axis: tuple(
                value if isinstance(value, AxisValue) else AxisValue.model_construct(value=value)
                for value in values
            )
            for axis, values in axes.items()
        }
        return cls(stated, tuple(exclude))

    @cached_property
    def values(self) -> dict[str, tuple[Value, ...]]:
        """Every value of each axis, regardless of conditions."""
        return {axis: tuple(each.value for each in values) for axis, values in self.axes.items()}

    @property
    def size(self) -> int:
        """Number of combinations of all values, including those that are not cells."""
        return prod(map(len, self.axes.values()))

    def cells(self, seed: int = 0) -> list[dict[str, Value]]:
        """Return every cell once, ordered so that prefixes cover each axis as evenly as conditions allow."""
        if seed not in self._cells:
            self._cells[seed] = self._ordered(seed)
        return self._cells[seed]

    def listed(self) -> list[dict[str, Value]]:
        """Return every cell once, in the order in which axes and values are stated."""
        combined = product(*self.values.values())
        return self._among([dict(zip(self.axes, values, strict=True)) for values in combined])

    def _ordered(self, seed: int) -> list[dict[str, Value]]:
        return self._among(balanced_cells(self.values, seed))

    def _among(self, combinations: list[dict[str, Value]]) -> list[dict[str, Value]]:
        """Return the cells among all combinations, each once."""
        if not self.exclude and not self._conditional:
            return combinations
        found = {tuple(cell.items()): cell for cell in filter(None, map(self._cell, combinations))}
        return list(found.values())

    @property
    def uneven(self) -> bool:
        """Whether it has weights, conditions or exclusions."""
        stated = (each for values in self.axes.values() for each in values)
        return bool(self.exclude) or any(each.when or each.weight != 1 for each in stated)

    @cached_property
    def _conditional(self) -> bool:
        return any(each.when for values in self.axes.values() for each in values)

    def _cell(self, combination: Cell) -> dict[str, Value] | None:
        """Return a combination without axes that do not apply; None when it is not a cell."""
        cell: dict[str, Value] = {}
        for axis, values in self.axes.items():
            fitting = [each.value for each in values if holds(each.when, cell)]
            if combination[axis] in fitting:
                cell[axis] = combination[axis]
            # Another value of the axis applies here, so this combination is not a cell. Without
            # any applicable value the axis is dropped, and the combinations that differ only in
            # it become one cell.
            elif fitting:
                return None
        return None if any(holds(excluded, cell) for excluded in self.exclude) else cell

    def shares(self, cells: Sequence[Cell]) -> list[int]:
        """Return a whole number for each cell, proportional to its weight."""
        # Exact fractions of the decimals as written: with floats, 0.1 and 0.2 would
        # give huge, unequal shares.
        weights = {
            (axis, each.value): Fraction(str(each.weight))
            for axis, values in self.axes.items()
            for each in values
        }
        exact = [prod((weights[each] for each in cell.items()), start=Fraction(1)) for cell in cells]
        common = lcm(*(weight.denominator for weight in exact))
        whole = [int(weight * common) for weight in exact]
        least = gcd(*whole) or 1
        return [share // least for share in whole]

    def problems(self) -> Iterator[FieldProblem]:
        """Yield problems; their fields are those of the step that states the matrix."""
        if self.size > most_cells:
            what = f"has {self.size:,} combinations; at most {most_cells:,} are planned"
            yield FieldProblem("matrix", f"{what}. Make an axis a slot of the prompt file")
            return
        found = [*self._wrong_values(), *self._wrong_excludes()]
        yield from found
        if not found and not self.cells():
            yield FieldProblem("exclude", "leaves no cell of the matrix")

    def _wrong_values(self) -> Iterator[FieldProblem]:
        before: list[str] = []
        for axis, values in self.axes.items():
            for place, each in enumerate(values):
                named = f"matrix.{axis}.{place}.when"
                for other, fitting in wanted(each.when):
                    if other not in before:
                        yield FieldProblem(named, self._no_earlier(axis, other, before))
                    else:
                        yield from self._unknown_values(named, other, fitting)
            before.append(axis)

    def _no_earlier(self, axis: str, other: str, before: Sequence[str]) -> str:
        if other in self.axes:
            return f"looks at '{other}', which must come before '{axis}' in the matrix"
        return f"the matrix has no axis '{other}'.{did_you_mean(other, before)}"

    def _wrong_excludes(self) -> Iterator[FieldProblem]:
        for place, excluded in enumerate(self.exclude):
            named = f"exclude.{place}"
            if not excluded:
                yield FieldProblem(named, "names no axis, so it would exclude every cell")
            for axis, fitting in wanted(excluded):
                if axis not in self.axes:
                    known = did_you_mean(axis, list(self.axes))
                    yield FieldProblem(named, f"the matrix has no axis '{axis}'.{known}")
                else:
                    yield from self._unknown_values(named, axis, fitting)

    def _unknown_values(self, named: str, axis: str, fitting: Sequence[str]) -> Iterator[FieldProblem]:
        known = list(map(str, self.values[axis]))
        for value in fitting:
            if value not in known:
                what = f"'{value}' is not a value of the axis '{axis}'.{did_you_mean(value, known)}"
                yield FieldProblem(named, what)
