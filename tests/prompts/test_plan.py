"""The sampling plan: balanced, stable, distinct; shown for generated matrices, templates and slots."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from polytune.prompts.library import Library, load_library
from polytune.prompts.model import Value
from polytune.prompts.order import balanced_cells, even_walk
from polytune.prompts.plan import PlannedSample, plan

Axes = Mapping[str, Sequence[Value]]


@dataclass(frozen=True)
class Case:
    """A matrix, a prompt file for it, and a seed."""

    axes: Axes
    templates: Sequence[Sequence[str]]
    """The slots that each template uses."""
    sizes: Mapping[str, int]
    """How many values each slot has."""
    seed: int

    def library(self) -> Library:
        texts = [
            f"Template {number}" + "".join(f" {{{{ {slot} }}}}" for slot in slots)
            for number, slots in enumerate(self.templates)
        ]
        slots = {slot: [f"{slot}{number}" for number in range(size)] for slot, size in self.sizes.items()}
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
            yaml.safe_dump({"templates": texts, "slots": slots}, file)
            file.flush()
            return load_library(Path(file.name), self.axes)

    def samples(self, amount: int) -> list[PlannedSample]:
        return list(islice(plan(self.axes, self.library(), self.seed), amount))


slot_names = ("p", "q", "r")
sizes = st.fixed_dictionaries({name: st.integers(1, 4) for name in slot_names})
cases = st.builds(
    Case,
    axes=st.dictionaries(
        st.sampled_from(["a", "b", "c"]),
        st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True),
        max_size=3,
    ),
    templates=st.lists(st.lists(st.sampled_from(slot_names), unique=True), min_size=1, max_size=3),
    sizes=sizes,
    seed=st.integers(0, 2**32),
)
amounts = st.integers(0, 250)


def _cell(sample: PlannedSample) -> Hashable:
    return tuple(sample.cell.items())


def _question(sample: PlannedSample) -> Hashable:
    return _cell(sample), sample.template, tuple(sample.slots.items())


def _spread(counts: Mapping[Hashable, int], kinds: int) -> int:
    """The difference between the most and the least frequent of `kinds` kinds."""
    least = min(counts.values()) if len(counts) == kinds else 0
    return max(counts.values(), default=0) - least


@settings(max_examples=60)
@given(cases, amounts)
def test_every_prefix_covers_the_matrix_evenly(case: Case, amount: int) -> None:
    """In any prefix, the numbers of samples of any two cells differ by at most one."""
    cells = prod(len(values) for values in case.axes.values())
    counts: Counter[Hashable] = Counter()

    for sample in case.samples(amount):
        counts[_cell(sample)] += 1
        assert _spread(counts, cells) <= 1


@settings(max_examples=60)
@given(cases, amounts)
def test_templates_rotate_evenly_within_a_cell(case: Case, amount: int) -> None:
    """In any prefix, any two templates of one cell were used equally often, give or take one."""
    counts: defaultdict[Hashable, Counter[Hashable]] = defaultdict(Counter)

    for sample in case.samples(amount):
        counts[_cell(sample)][sample.template] += 1
        assert _spread(counts[_cell(sample)], len(case.templates)) <= 1


@settings(max_examples=40)
@given(cases, amounts, amounts)
def test_longer_plan_starts_with_the_shorter(case: Case, one: int, other: int) -> None:
    """Two plans of one file and seed agree as far as the shorter one goes, and samples are numbered."""
    shorter, longer = sorted((one, other))

    samples = case.samples(longer)
    assert samples[:shorter] == case.samples(shorter)
    assert [sample.index for sample in samples] == list(range(longer))


@settings(max_examples=60)
@given(cases, amounts)
def test_draws_count_earlier_identical_questions(case: Case, amount: int) -> None:
    """The draw of a sample is the number of samples before it that ask the same."""
    asked: Counter[Hashable] = Counter()

    for sample in case.samples(amount):
        assert sample.draw == asked[_question(sample)]
        asked[_question(sample)] += 1


@settings(max_examples=60)
@given(cases, amounts)
def test_questions_repeat_only_when_all_were_asked(case: Case, amount: int) -> None:
    """A choice of slot values is repeated in a cell only after every other choice was asked as often."""
    asked: defaultdict[Hashable, Counter[Hashable]] = defaultdict(Counter)

    for sample in case.samples(amount):
        asked[_cell(sample), sample.template][_question(sample)] += 1
        choices = prod(case.sizes[slot] for slot in case.templates[sample.template_index])
        assert _spread(asked[_cell(sample), sample.template], choices) <= 1


@settings(max_examples=40)
@given(cases, st.integers(1, 60))
def test_wider_matrix_keeps_the_questions_of_the_narrower(case: Case, amount: int) -> None:
    """Another value on an axis changes nothing about what the other cells are asked."""
    wider = Case(
        {axis: [*values, 99] for axis, values in case.axes.items()}, case.templates, case.sizes, case.seed
    )
    kept: defaultdict[Hashable, list[Hashable]] = defaultdict(list)
    cells = prod(len(values) for values in wider.axes.values())
    for sample in wider.samples(cells * (amount + 1)):
        kept[_cell(sample)].append(_question(sample))

    seen: Counter[Hashable] = Counter()
    for sample in case.samples(amount):
        assert kept[_cell(sample)][seen[_cell(sample)]] == _question(sample)
        seen[_cell(sample)] += 1


@given(st.lists(st.integers(1, 6), max_size=4))
def test_even_walk_visits_every_combination_once(radices: list[int]) -> None:
    """A walk through all combinations meets each one exactly once."""
    steps = prod(radices)

    visited = {tuple(even_walk(step, radices)) for step in range(steps)}

    assert len(visited) == steps
    assert all(0 <= digit < size for digits in visited for digit, size in zip(digits, radices, strict=True))


@given(st.lists(st.integers(1, 6), min_size=1, max_size=3), st.integers(1, 40))
def test_even_walk_uses_every_value_of_a_digit_evenly(radices: list[int], steps: int) -> None:
    """In any prefix of a walk, two values of one digit were met equally often, give or take two."""
    for position, size in enumerate(radices):
        met = [even_walk(step, radices)[position] for step in range(min(steps, prod(radices)))]
        counts: Counter[Hashable] = Counter(met)
        assert _spread(counts, size) <= 2


def test_order_of_the_file_does_not_matter_but_the_seed_does() -> None:
    """Listing axis values otherwise changes nothing; another seed gives another order."""
    axes: Axes = {"style": list("abcdefgh"), "level": [1, 2, 3]}
    turned: Axes = {"style": list("hgfedcba"), "level": [3, 1, 2]}

    assert balanced_cells(axes, 7) == balanced_cells(turned, 7)
    assert balanced_cells(axes, 7) != balanced_cells(axes, 8)


def test_a_matrix_without_axes_is_one_cell() -> None:
    """With no axes there is one empty cell; an axis without values leaves nothing to plan."""
    one = Case({}, [["p"]], {"p": 2}, 7)
    none = Case({"a": []}, [["p"]], {"p": 2}, 7)

    assert [sample.draw for sample in one.samples(5)] == [0, 0, 1, 1, 2]
    assert none.samples(5) == []
