"""Answers of batch jobs settle with the budget like any other answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from polytune.asking.failures import Failure, FailureKind
from polytune.asking.gauge import Gauge
from polytune.asking.reply import Reply, Tokens
from polytune.engine.answers import AnswerMemory, Ask
from polytune.engine.budget import Budget, BudgetLimits, Cost
from polytune.engine.clock import RealClock
from polytune.engine.jobbook import JobBook
from polytune.engine.jobs import Jobs, Polling
from polytune.engine.ledger import Ledger
from polytune.steps._batching import GenerateBatchContext

asks = [Ask("request", draw) for draw in range(4)]
most = Cost(usd=1.0, tokens=100)
reply = Reply(b"{}", Tokens(3, 4), 0.25)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    with closing(Ledger.open(tmp_path / "ledger.sqlite3")) as opened:
        yield opened


def in_batch(ledger: Ledger, work: Callable[[GenerateBatchContext], Awaitable[None]]) -> Budget:
    """The budget after the work."""
    budget = Budget(BudgetLimits(usd=4.0))
    patience = Polling(RealClock())
    jobs = Jobs(JobBook(ledger), "k", "x", polling=patience, forced=False, detached=lambda stop: None)

    async def go() -> None:
        async with AnswerMemory(ledger, "x") as memory:
            gauge = Gauge(4, lambda progress: None)
            await work(GenerateBatchContext(jobs, Path(), {}, memory, gauge, budget))

    asyncio.run(go())
    return budget


def test_an_answer_costs_what_it_cost_and_frees_the_rest(ledger: Ledger) -> None:
    """Of four reserved questions one is answered, one fails, one is released: one stays reserved."""

    async def work(context: GenerateBatchContext) -> None:
        assert all(context.reserve(ask, most) for ask in asks)
        assert not context.reserve(Ask("request", 9), most)
        await context.landed([(asks[0], reply)])
        context.failed(asks[1], Failure(FailureKind.BROKEN, "no"))
        context.release([asks[2]])

    budget = in_batch(ledger, work)

    assert (budget.usd, budget.tokens, budget.requests) == (0.25, 7, 1)
    assert budget.reserve(Cost(usd=2.75))
    assert not budget.reserve(Cost(usd=0.01))


def test_an_answer_of_an_earlier_job_is_spent_once(ledger: Ledger) -> None:
    """Nothing was reserved for it in this run; collected twice, it is paid once."""

    async def work(context: GenerateBatchContext) -> None:
        await context.landed([(asks[0], reply)])
        await context.landed([(asks[0], reply)])

    assert in_batch(ledger, work).usd == 0.25
