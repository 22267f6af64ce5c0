"""Where something holds: an axis and the value it must have, or one of several, for every axis named.

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
"""Axis -> the value that it must have, or the values of which it must have one."""


def wanted(condition: Condition) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each axis of a condition and the values that fit, as text."""
    for axis, values in condition.items():
        yield axis, tuple(map(str, values)) if isinstance(values, tuple | list) else (str(values),)


def holds(condition: Condition, cell: Cell) -> bool:
    """Whether a cell has every axis of the condition, with a value that fits."""
    return all(axis in cell and str(cell[axis]) in fitting for axis, fitting in wanted(condition))
