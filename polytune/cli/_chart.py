"""A small terminal chart of one or two series, in Unicode or plain ASCII.

2.31 ┤•
     │ •• o
     │   ••••o••
0.42 ┤        •••••••
     └ 1                240   • training loss   o validation loss
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

height, width = 8, 64
fancy = ("•", "o", "┤", "│", "└")
plain = ("*", "o", "+", "|", "`")


@dataclass(frozen=True)
class Series:
    """One curve."""

    name: str
    points: tuple[tuple[float, float], ...]
    """Pairs of step and value, in the order of steps."""


def chart(series: Sequence[Series], encoding: str = "utf-8") -> list[str]:
    """The lines of the chart; none without a finite point. At most two series."""
    # A diverged training reports NaN or infinity, which would leave the value axis without a scale.
    cleaned = [_finite(each) for each in series]
    shown = [each for each in cleaned if each.points]
    if not shown:
        return []
    marks = fancy if _takes(encoding) else plain
    grid = _drawn(shown, marks)
    return list(_framed(grid, shown, marks))


def _finite(series: Series) -> Series:
    return Series(series.name, tuple(point for point in series.points if math.isfinite(point[1])))


def _takes(encoding: str) -> bool:
    # Printing a character that the terminal's encoding lacks would raise an error.
    try:
        "".join(fancy).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _drawn(series: Sequence[Series], marks: Sequence[str]) -> list[list[str]]:
    """The grid's rows from the top; each column shows the mean of a series' values in it."""
    (left, right), (low, high) = _bounds(series)
    grid = [[" "] * width for _ in range(height)]
    # In reverse, so that the first series is drawn on top.
    for mark, each in reversed(list(zip(marks, series, strict=False))):
        columns: dict[int, list[float]] = {}
        for step, value in each.points:
            place = 0 if right == left else round((step - left) / (right - left) * (width - 1))
            columns.setdefault(place, []).append(value)
        for column, values in columns.items():
            mean = sum(values) / len(values)
            share = 0.5 if high == low else (mean - low) / (high - low)
            grid[height - 1 - round(share * (height - 1))][column] = mark
    return grid


def _bounds(series: Sequence[Series]) -> tuple[tuple[float, float], tuple[float, float]]:
    steps = [step for each in series for step, _ in each.points]
    values = [value for each in series for _, value in each.points]
    return (min(steps), max(steps)), (min(values), max(values))


def _framed(grid: list[list[str]], series: Sequence[Series], marks: Sequence[str]) -> Iterator[str]:
    (left, right), (low, high) = _bounds(series)
    _, _, tick, bar, corner = marks
    labels = {0: f"{high:.4g}", height - 1: f"{low:.4g}"}
    margin = max(map(len, labels.values()))
    for number, row in enumerate(grid):
        edge = tick if number in labels else bar
        yield f"  {labels.get(number, ''):>{margin}} {edge}{''.join(row)}".rstrip()
    legend = "   ".join(f"{mark} {each.name}" for mark, each in zip(marks, series, strict=False))
    ends = f"{left:g}{f'{right:g}':>{width - len(f'{left:g}')}}"
    yield f"  {'':>{margin}} {corner}{ends}"
    yield f"  {'':>{margin}}  {legend}"
