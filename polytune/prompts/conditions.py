"""Conditions: for every axis named, the value it must have, or a list of allowed values.

when: {style: jazz}                    only in cells whose style is jazz
when: {style: [jazz, lofi], level: 2}  in cells of either style, at level 2
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from polytune.spec.model import Items

Value = str | int | float
"""The value of an axis or of a slot."""
Cell = Mapping[str, Value]
"""One value per axis of the matrix, in the matrix's order; an axis that does not apply is absent."""
Condition = dict[str, Value | Items[Value]]
"""Axis -> the required value, or the list of allowed values."""


def wanted(condition: Condition) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each axis of a condition with its allowed values, as text."""
    for axis, values in condition.items():
        yield axis, tuple(map(str, values)) if isinstance(values, tuple | list) else (str(values),)


def holds(condition: Condition, cell: Cell) -> bool:
    """Whether a cell has every axis of the condition, with an allowed value."""
    return all(axis in cell and str(cell[axis]) in fitting for axis, fitting in wanted(condition))
