"""The chart of `job watch`: its marks stand where the values are, on any terminal."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from polytune.cli._chart import Series, chart, height, width

falling = Series("training loss", tuple((float(step), 2.0 - step / 100) for step in range(100)))


def test_a_falling_curve_falls() -> None:
    """The first mark is in the top row, the last one in the bottom row; the ends are labelled."""
    lines = chart([falling])

    rows = [line.partition("┤")[2] or line.partition("│")[2] for line in lines[:height]]
    assert rows[0].startswith("•")
    assert rows[-1].rstrip().endswith("•")
    assert len(rows[-1]) == width
    assert lines[0].split("┤")[0].strip() == "2"
    assert lines[height - 1].split("┤")[0].strip() == "1.01"
    assert lines[-1].strip() == "• training loss"


def test_a_terminal_without_unicode_gets_ascii() -> None:
    """Nothing in the chart is outside the encoding."""
    other = Series("validation loss", ((0.0, 1.0), (99.0, 0.5)))

    lines = chart([falling, other], "ascii")

    "\n".join(lines).encode("ascii")
    assert lines[-1].strip() == "* training loss   o validation loss"


def test_a_curve_without_a_number_is_no_chart() -> None:
    """Neither nothing nor NaN is drawn."""
    assert chart([]) == []
    assert chart([Series("x", ((0.0, math.nan), (1.0, math.inf)))]) == []


numbers = st.floats(-1e6, 1e6)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=50))
def test_any_curve_is_a_chart_of_the_same_size(points: list[tuple[float, float]]) -> None:
    """Flat, steep, one point or many: every row fits, and something is drawn."""
    lines = chart([Series("x", tuple(sorted(points)))])

    assert len(lines) == height + 2
    assert "•" in "".join(lines[:height])
    assert all(len(line) <= width + 20 for line in lines[:height])
