"""The order of a mixture: exact shares in every beginning, and a longer one begins with a shorter one."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from polytune.steps.collect import Mixture

weights = st.lists(st.integers(1, 30).map(lambda n: n / 10), min_size=1, max_size=5)
seeds = st.integers(0, 1000)


def drawn(weights: list[float] | None, sizes: list[int], seed: int) -> list[int]:
    """The sources in the order in which they give records."""
    left, order = list(sizes), []
    mixture = Mixture(weights, len(sizes), seed)

    def has_more(source: int) -> bool:
        left[source] -= 1
        return left[source] >= 0

    while (source := mixture.next(has_more)) is not None:
        order.append(source)
    return order


@settings(max_examples=60)
@given(weights, seeds)
def test_every_beginning_keeps_the_shares(weights: list[float], seed: int) -> None:
    """After any number of records each source is less than one record from its exact share."""
    order = drawn(weights, [200] * len(weights), seed)
    exact = [Fraction(str(weight)) for weight in weights]

    counts = Counter[int]()
    for place, source in enumerate(order, 1):
        counts[source] += 1
        for each, weight in enumerate(exact):
            assert abs(counts[each] - place * weight / sum(exact)) < 1


@settings(max_examples=60)
@given(weights, seeds, st.lists(st.integers(0, 40), min_size=5, max_size=5), st.integers(0, 40))
def test_growth_keeps_the_beginning(weights: list[float], seed: int, sizes: list[int], more: int) -> None:
    """With more records in all sources, the mixture begins as it was."""
    sizes = sizes[: len(weights)]
    short = drawn(weights, sizes, seed)

    assert drawn(weights, [size + more for size in sizes], seed)[: len(short)] == short


@settings(max_examples=60)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=5), seeds)
def test_without_weights_everything_is_taken(sizes: list[int], seed: int) -> None:
    """In turns, until the last source has no more; with weights the first one without more ends it."""
    order = drawn(None, sizes, seed)

    assert Counter(order) == Counter({source: size for source, size in enumerate(sizes) if size})
    assert set(order[: len(sizes)]) == set(range(len(sizes))) or 0 in sizes
    ended = Counter(drawn([1.0] * len(sizes), sizes, seed))
    assert max(ended.values(), default=0) <= min(sizes) + 1


def test_the_seed_decides_who_is_first() -> None:
    """Equal sources come in some order of their own for each seed, always the same."""
    orders = {tuple(drawn(None, [1, 1, 1], seed)) for seed in range(40)}

    assert orders == {(a, b, 3 - a - b) for a in range(3) for b in range(3) if a != b}
    assert drawn(None, [9, 9], 7) == drawn(None, [9, 9], 7)
