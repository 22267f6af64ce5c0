"""The matrix: weights, conditions and excludes, as specs state them and as plans keep to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from fractions import Fraction
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from polytune.prompts.conditions import Cell, Condition, Value, holds
from polytune.prompts.coverage import coverage
from polytune.prompts.matrix import Axis, AxisValue, Matrix
from polytune.prompts.order import rota
from polytune.prompts.plan import PlannedSample
from tests.messages import matching, message
from tests.prompts.prompt_files import library, planned

axis_type: TypeAdapter[tuple[Any, ...]] = TypeAdapter(Axis)
weights = st.one_of(st.integers(1, 9), st.sampled_from([0.5, 0.25, 1.5, 0.1]))


def _axis(stated: Any) -> tuple[Any, ...]:
    return axis_type.validate_python(stated)


def _matrix(exclude: Any = (), **axes: Any) -> Matrix:
    return Matrix.of({name: _axis(stated) for name, stated in axes.items()}, exclude)


@st.composite
def matrices(draw: st.DrawFn) -> Matrix:
    """Two or three axes; values have weights, and may depend on the first axis."""
    axes: dict[str, tuple[AxisValue, ...]] = {}
    for name in draw(st.sampled_from([("a", "b"), ("a", "b", "c")])):
        values = []
        for value in range(draw(st.integers(1, 3))):
            when: Condition = draw(st.sampled_from([{}, {}, {"a": 0}])) if name != "a" else {}
            values.append(AxisValue(value=value, weight=draw(weights), when=when))
        axes[name] = tuple(values)
    excluded: tuple[Condition, ...] = draw(st.sampled_from([(), ({"a": 0, "b": 1},), ({"b": 2},)]))
    matrix = Matrix(axes, excluded)
    return matrix if matrix.cells() else Matrix(axes)


@settings(max_examples=120)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=9), st.integers(1, 300))
def test_rota_keeps_every_prefix_within_one_of_its_shares(shares: list[int], steps: int) -> None:
    """After any number of steps, each position came less than one time more or less than it is due."""
    counts: Counter[int] = Counter()

    for step, position in enumerate(islice(rota(shares), steps), start=1):
        counts[position] += 1
        for each, share in enumerate(shares):
            assert abs(counts[each] - Fraction(share * step, sum(shares))) < 1


@settings(max_examples=60)
@given(matrices(), st.integers(1, 150), st.integers(0, 99))
def test_every_prefix_gives_each_cell_what_it_is_due(matrix: Matrix, amount: int, seed: int) -> None:
    """With weights, conditions and excludes, each cell is within one sample of its share in any prefix."""
    cells = matrix.cells(seed)
    due = dict(zip((tuple(cell.items()) for cell in cells), matrix.shares(cells), strict=True))
    counts: Counter[Hashable] = Counter()

    for number, sample in enumerate(planned(matrix, library(matrix, templates=["t"]), amount, seed), start=1):
        counts[tuple(sample.cell.items())] += 1
        for cell, share in due.items():
            assert abs(counts[cell] - Fraction(share * number, sum(due.values()))) < 1
    assert counts.keys() <= due.keys()


@settings(max_examples=60)
@given(matrices(), st.integers(0, 120), st.integers(0, 120))
def test_longer_plan_starts_with_the_shorter(matrix: Matrix, one: int, other: int) -> None:
    """Growth changes no sample that was there, whatever weights and conditions there are."""
    loaded = library(matrix, templates=["t {{ x }}", "u"], slots={"x": [1, 2, 3]})
    shorter, longer = sorted((one, other))

    assert planned(matrix, loaded, longer)[:shorter] == planned(matrix, loaded, shorter)


@settings(max_examples=40)
@given(matrices())
def test_cells_obey_conditions_and_excludes(matrix: Matrix) -> None:
    """No cell holds a value whose condition fails, and none is excluded."""
    for cell in matrix.cells():
        assert not any(holds(excluded, cell) for excluded in matrix.exclude)
        for axis, values in matrix.axes.items():
            fitting = [each.value for each in values if holds(each.when, cell)]
            assert (cell[axis] in fitting) if axis in cell else not fitting


def test_growing_500_to_600_changes_none_of_the_500() -> None:
    """600 samples of a weighted plan begin with exactly the 500."""
    matrix = _matrix(style={"techno": 3, "house": 1}, level=["simple", "complex"])
    loaded = library(matrix, templates=["{{ style }} {{ x }}"], slots={"x": list(range(40))})

    assert planned(matrix, loaded, 600)[:500] == planned(matrix, loaded, 500)


def test_editing_one_template_changes_exactly_its_cells() -> None:
    """Samples of cells that an edited template does not serve stay as they were, to the last field."""
    axes = {"style": ("techno", "house"), "level": (1, 2)}
    before = {"techno": ["a {{ x }}", "b {{ x }}"], "house": ["c {{ x }}"]}
    slots = {"x": [1, 2, 3, 4, 5]}

    def samples(templates: dict[str, list[str]]) -> list[PlannedSample]:
        return planned(axes, library(axes, template_axis="style", templates=templates, slots=slots), 200)

    def texts(templates: dict[str, list[str]]) -> list[str]:
        loaded = library(axes, template_axis="style", templates=templates, slots=slots)
        return [
            loaded.render(sample.cell, sample.template_index, sample.slots).prompt
            for sample in samples(templates)
        ]

    after = {**before, "techno": ["a {{ x }}", "B {{ x }}"]}
    pairs = list(zip(samples(before), samples(after), strict=True))
    assert [old.cell for old, _ in pairs] == [new.cell for _, new in pairs]
    assert all(old == new for old, new in pairs if old.cell["style"] == "house")
    kept = Counter(texts(before)) & Counter(texts(after))
    assert sum(kept.values()) == 150


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (["a", 2], ["a", 2]),
        ({"a": 3, "b": 1}, [("a", 3, {}), ("b", 1, {})]),
        ({"values": [1, 2], "weights": [3, 0.5]}, [(1, 3, {}), (2, 0.5, {})]),
        (["a", {"value": "b", "when": {"x": ["y", 2]}}], ["a", ("b", 1, {"x": ("y", 2)})]),
    ],
)
def test_an_axis_may_be_written_in_several_ways(stated: Any, expected: list[Any]) -> None:
    """Lists, mappings of weights, and values with more to say all come to a list of values."""
    found = [
        (each.value, each.weight, each.when) if isinstance(each, AxisValue) else each
        for each in _axis(stated)
    ]

    assert found == expected


@pytest.mark.parametrize(
    ("stated", "says"),
    [
        ({"values": [1, 2], "weights": [3]}, matching("prompts/has-values-and-weights", values=2, weights=1)),
        ({"values": [1, 2]}, matching("prompts/write-values-and-weights-side")),
        ({"a": 0, "b": 1}, "type=greater_than"),
        ({}, "type=too_short"),
        ("warm", "type=tuple_type"),
    ],
)
def test_a_wrong_axis_is_refused(stated: Any, says: str) -> None:
    """Weights that do not fit, weights of nothing, and axes without values are no axes."""
    with pytest.raises(ValidationError, match=says):
        _axis(stated)


def test_equal_weights_are_the_plan_without_weights() -> None:
    """Writing the weight that every value has anyway changes no sample."""
    plain = _matrix(style=["techno", "house"], level=[1, 2, 3])
    same = _matrix(style={"techno": 2, "house": 2}, level=[1, 2, 3])
    loaded = library(plain, templates=["t {{ x }}"], slots={"x": [1, 2]})

    assert planned(plain, loaded, 60) == planned(same, loaded, 60)


def test_an_axis_is_absent_where_none_of_its_values_applies() -> None:
    """A value with a condition is in the cells that fulfil it; an axis without any value is left out."""
    three = {"value": "3/4", "when": {"style": "jazz"}}
    dark = {"value": "dark", "when": {"style": "techno"}}
    matrix = _matrix(style=["jazz", "techno"], meter=["4/4", three], mood=[dark])

    assert matrix.listed() == [
        {"style": "jazz", "meter": "4/4"},
        {"style": "jazz", "meter": "3/4"},
        {"style": "techno", "meter": "4/4", "mood": "dark"},
    ]


def test_what_is_wrong_with_a_matrix_is_told() -> None:
    """Conditions on what comes later or is misspelt, and excludes that name nothing, are told at once."""
    late = {"value": 1, "when": {"style": "jazz"}}
    misspelt = {"value": "a", "when": {"levle": 1, "level": 7}}
    matrix = _matrix(
        ({"stile": "x"}, {"style": "jaz"}, {}), level=[late], style=["jazz", "b"], mood=[misspelt]
    )

    assert [(each.field, each.what) for each in matrix.problems()] == [
        ("matrix.level.0.when", message("prompts/looks-at", name="style", name2="level")),
        ("matrix.mood.0.when", message("prompts/matrix-has-no-such-axis", axis="levle", suggestion="level")),
        (
            "matrix.mood.0.when",
            message("prompts/value-is-not-on-axis-known", name=7, axis="level", known="1"),
        ),
        ("exclude.0", message("prompts/matrix-has-no-such-axis", axis="stile", suggestion="style")),
        (
            "exclude.1",
            message("prompts/value-is-not-on-axis-suggestion", name="jaz", axis="style", suggestion="jazz"),
        ),
        ("exclude.2", message("prompts/names-no-axis")),
    ]


def test_a_matrix_without_cells_or_with_too_many_is_refused() -> None:
    """Nothing can be planned when all is excluded, or when an axis belongs among the slots."""
    nothing = _matrix(({"a": [1, 2]},), a=[1, 2])
    many = _matrix(a=list(range(400)), b=list(range(400)))

    assert [each.what for each in nothing.problems()] == [message("prompts/leaves-no-cell-of-matrix")]
    assert [each.what for each in many.problems()] == [
        message("prompts/has-combinations", combinations="160,000", number="100,000")
    ]


@settings(max_examples=40)
@given(matrices(), st.integers(1, 200))
def test_coverage_adds_up(matrix: Matrix, amount: int) -> None:
    """What is due to the values of an axis and what they got are what their cells were due and got."""
    samples = planned(matrix, library(matrix, templates=["t"]), amount)

    found = coverage(matrix, (sample.cell for sample in samples))

    for axis, rows in found.axes.items():
        holding = sum(axis in sample.cell for sample in samples)
        assert sum(each.got for each in rows) == holding
        assert sum(each.short for each in rows) == pytest.approx(sum(each.due for each in rows) - holding)
        assert all(abs(each.short) < len(matrix.cells()) for each in rows)
    assert found.samples == amount


def test_coverage_shows_what_is_missing() -> None:
    """The table has a row for each value and pair, with the difference where it is a whole sample."""
    matrix = _matrix(style={"techno": 3, "house": 1}, level=[1, 2])
    often: dict[str, Value] = {"style": "techno", "level": 1}
    got: list[Cell] = [*[often] * 4, {"style": "house", "level": 2}]

    found = coverage(matrix, got, samples=8)

    assert found.axis_rows() == [
        ("style", "house", "2.0", "1", "-1.0"),
        ("style", "techno", "6.0", "4", "-2.0"),
        ("level", "1", "4.0", "4", ""),
        ("level", "2", "4.0", "1", "-3.0"),
    ]
    assert found.facts()["style, level"]["techno, 2"] == (3.0, 0)
    assert found.facts()["style, level"]["techno, 1"] == (3.0, 4)
    assert found.widest == 3.0
