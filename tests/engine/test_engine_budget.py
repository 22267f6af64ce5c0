"""The budget: what is spent and what is reserved never exceed the limits together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytune.engine.budget import Budget, BudgetLimits, Cost, no_cost
from polytune.errors import BudgetExceeded
from tests.messages import matching


@given(
    st.floats(0, 5),
    st.integers(0, 40),
    st.integers(0, 5000),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 500), st.floats(0, 1), st.booleans()), max_size=200),
)
def test_no_order_of_questions_and_answers_overshoots(
    usd: float, requests: int, tokens: int, events: list[tuple[float, int, float, bool]]
) -> None:
    """Whatever is asked and answered in whatever order, no limit is ever passed."""
    budget = Budget(BudgetLimits(usd=usd, requests=requests, tokens=tokens))
    flying: list[tuple[Cost, Cost]] = []
    for price, size, share, lands in events:
        if lands and flying:
            budget.settle(*flying.pop(0))
        else:
            most = Cost(usd=price, tokens=size)
            try:
                if budget.reserve(most):
                    used = Cost(usd=price * share, tokens=int(size * share))
                    flying.append((most, used))
            except BudgetExceeded:
                assert not flying
        assert budget.usd + sum(most.usd or 0 for most, _ in flying) <= usd + 1e-6
        assert budget.tokens + sum(most.tokens for most, _ in flying) <= tokens
        assert budget.requests + len(flying) <= requests


def test_a_question_waits_while_another_may_cost_less() -> None:
    """What does not fit beside questions on their way may fit once they are settled."""
    budget = Budget(BudgetLimits(usd=1.0))
    assert budget.reserve(Cost(usd=0.8))
    assert not budget.reserve(Cost(usd=0.5))

    budget.settle(Cost(usd=0.8), Cost(usd=0.1))

    assert budget.reserve(Cost(usd=0.5))


def test_a_question_that_brought_nothing_costs_nothing() -> None:
    """A refused question frees what was set aside."""
    budget = Budget(BudgetLimits(requests=1))
    assert budget.reserve(Cost())

    budget.settle(Cost(), no_cost)

    assert budget.reserve(Cost())


def test_a_batch_reserves_all_of_its_requests() -> None:
    """A question that is a batch of 16 requests does not start where 10 are left."""
    budget = Budget(BudgetLimits(requests=26))
    assert budget.reserve(Cost(requests=16))

    assert not budget.reserve(Cost(requests=16))
    budget.settle(Cost(requests=16), Cost(requests=16))

    with pytest.raises(BudgetExceeded, match="allows 10 more requests"):
        budget.reserve(Cost(requests=16))


def test_what_was_not_reserved_counts_as_spent() -> None:
    """An answer that an earlier run had asked for takes its part of the limits when it is collected."""
    budget = Budget(BudgetLimits(usd=1.0))

    budget.spend(Cost(usd=0.8))

    with pytest.raises(BudgetExceeded, match=r"allows 0\.2 more US dollars"):
        budget.reserve(Cost(usd=0.5))


@pytest.mark.parametrize(
    ("limits", "most", "told"),
    [
        (
            BudgetLimits(usd=0.5),
            Cost(usd=0.75),
            matching("engine/allows-more-us-dollars", number="0.5", number2="0.75"),
        ),
        (BudgetLimits(requests=0), Cost(), r"allows no more requests"),
        (
            BudgetLimits(tokens=10),
            Cost(tokens=11),
            matching("engine/allows-more-tokens", number=10, number2=11),
        ),
        (BudgetLimits(usd=9), Cost(usd=None), matching("general/no-price-of-this-teacher")),
    ],
)
def test_the_limit_is_named(limits: BudgetLimits, most: Cost, told: str) -> None:
    """The message says which limit, what is left, what was needed and what to do."""
    with pytest.raises(BudgetExceeded, match=f"{told}.*" + matching("engine/nothing-is-asked-twice")):
        Budget(limits).reserve(most)


def test_what_costs_nothing_needs_no_dollars() -> None:
    """A free teacher may be asked with an empty budget in dollars."""
    assert Budget(BudgetLimits(usd=0.0)).reserve(Cost(usd=0.0))
