"""Asking a platform's model: batches stay whole, answers are remembered, budget and retries hold."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from polytune.asking.failures import Failure, FailureKind
from polytune.asking.gauge import Gauge
from polytune.engine.answers import AnswerMemory, Ask
from polytune.engine.budget import Budget, BudgetLimits
from polytune.engine.clock import RealClock
from polytune.engine.jobbook import JobBook
from polytune.engine.jobs import Jobs
from polytune.engine.jobs import Polling as JobPatience
from polytune.engine.ledger import Ledger
from polytune.engine.step import Progress, Work
from polytune.errors import BudgetExceeded, Paused, PolytuneError, StepFailed
from polytune.fingerprint import Json
from polytune.platforms.interface import Inference, InvokedAnswer, Invoker, Question
from polytune.steps._invoking import answers_of, batches_of
from tests.messages import matching

questions = [Question(system="s", prompt=f"p{number}") for number in range(10)]
unlimited = BudgetLimits()
inference = Inference(max_tokens=8, temperature=0.0, seed=0)
model: dict[str, Json] = {
    "model": "m",
    "base": False,
    "inference": {"max_tokens": 8, "temperature": 0.0, "seed": 0},
}


class Stub(Invoker):
    """Answers with the batch it was asked in; fails as it is told to."""

    batch_size = 4

    def __init__(self, failures: Sequence[PolytuneError] = (), usd: float = 0.0, at_once: int = 1) -> None:
        self.failures = list(failures)
        self.usd = usd
        self.batches_at_once = at_once
        self.asked: list[list[str]] = []
        self.opened = 0
        self.in_flight = self.most_in_flight = 0

    async def __aenter__(self) -> Self:
        self.opened += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def most_usd(self, question: Question) -> float:
        """Twice what it costs."""
        return 2 * self.usd

    async def ask(self, questions: Sequence[Question]) -> list[InvokedAnswer]:
        """The prompts of the batch are in every answer."""
        prompts = [question.prompt for question in questions]
        self.asked.append(prompts)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0.002)
        self.in_flight -= 1
        if self.failures:
            raise self.failures.pop(0)
        return [
            InvokedAnswer(text=f"{each} of {prompts}", input_tokens=2, output_tokens=3, price_usd=self.usd)
            for each in prompts
        ]


class Bench:
    """A ledger, and one asking after the other that pays into it."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.folder = folder
        self.ledger = ledger
        self.told: list[Progress] = []
        self.gauge = Gauge(len(questions), self.told.append)

    def ask(self, invoker: Invoker, limits: BudgetLimits = unlimited) -> list[InvokedAnswer]:
        """Every answer."""
        return asyncio.run(self._asked(invoker, limits))

    async def _asked(self, invoker: Invoker, limits: BudgetLimits) -> list[InvokedAnswer]:
        batches = list(batches_of(questions, invoker.batch_size, model))
        self.gauge = Gauge(len(questions), self.told.append)
        async with AnswerMemory(self.ledger, "x") as answers:
            work = Work(
                inputs={},
                folder=self.folder,
                answers=answers,
                jobs=Jobs(
                    JobBook(self.ledger),
                    "key",
                    "x",
                    polling=JobPatience(RealClock()),
                    forced=False,
                    detached=lambda stop: None,
                ),
                report=self.told.append,
                budget=Budget(limits),
                root=self.folder,
            )
            return await answers_of(invoker, batches, inference, work, self.gauge, {})


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench with an empty ledger."""
    with closing(Ledger.open(tmp_path / "ledger.sqlite3")) as ledger:
        yield Bench(tmp_path, ledger)


def test_batches_are_whole_and_in_order(bench: Bench) -> None:
    """Ten questions in batches of four are asked as 4, 4 and 2, one batch at a time, in order."""
    stub = Stub()

    found = bench.ask(stub)

    assert [len(batch) for batch in stub.asked] == [4, 4, 2]
    assert list(chain(*stub.asked)) == [question.prompt for question in questions]
    assert [answer.text.split()[0] for answer in found] == [question.prompt for question in questions]
    assert stub.most_in_flight == 1
    usage = bench.gauge.usage()
    assert (usage.requests, usage.reused, usage.input_tokens, usage.output_tokens) == (10, 0, 20, 30)


def test_as_many_batches_fly_as_the_invoker_allows(bench: Bench) -> None:
    """An invoker that takes two batches at once gets two."""
    stub = Stub(at_once=2)

    bench.ask(stub)

    assert stub.most_in_flight == 2


def test_remembered_batches_are_not_asked_again(bench: Bench) -> None:
    """After a failure in the second batch, only it and the third are asked; then nothing is."""
    with pytest.raises(StepFailed, match="broke"):
        bench.ask(Failing(after=1))
    again, idle = Stub(), Stub()

    resumed = bench.ask(again)
    counts = (bench.gauge.answers, bench.gauge.reused, bench.gauge.done)
    recalled = bench.ask(idle)

    assert [len(batch) for batch in again.asked] == [4, 2]
    assert counts == (6, 4, 10)
    assert (idle.asked, idle.opened) == ([], 0)
    assert recalled == resumed


class Failing(Stub):
    """Breaks for good after so many batches."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    async def ask(self, questions: Sequence[Question]) -> list[InvokedAnswer]:
        """Raises StepFailed in the end."""
        if len(self.asked) == self.after:
            raise StepFailed("the program broke")
        return await super().ask(questions)


def test_answers_keep_the_names_they_were_stored_under(bench: Bench) -> None:
    """The digest of a batch and the draws in it are those of polytune 0.1: its answers are found again."""
    bench.ask(Stub())

    known = [
        Ask("8ea1e131fe9a77eb5cfe02bcb42cc663de1223bf79329fad99396bb92a22ca04", 3),
        Ask("72fcbe82a82e648efd19fab8a1b6f17fd05f553c6c46ab5ba8b7760a1cfdced5", 0),
    ]
    found = AnswerMemory(bench.ledger, "x").find(known)
    assert {each.ask: each.tokens for each in found} == dict.fromkeys(known, 5)


def test_a_failure_that_passes_is_asked_again(bench: Bench) -> None:
    """A refused batch is asked again as it was."""
    stub = Stub([Failure(FailureKind.OVERLOADED, "busy", retry_after=0.01)])

    found = bench.ask(stub)

    assert [len(batch) for batch in stub.asked] == [4, 4, 2, 4]
    assert len(found) == 10


@pytest.mark.parametrize(
    ("kind", "raised"),
    [(FailureKind.UNFIT, StepFailed), (FailureKind.DENIED, Failure), (FailureKind.QUOTA, Paused)],
)
def test_a_failure_that_stays_ends_the_step(
    bench: Bench, kind: FailureKind, raised: type[PolytuneError]
) -> None:
    """A score needs every answer: a question that is refused for good fails, an empty quota pauses."""
    with pytest.raises(raised, match="no way"):
        bench.ask(Stub([Failure(kind, "no way")]))


@pytest.mark.parametrize(
    ("limits", "answered"),
    [
        (BudgetLimits(requests=9), 8),
        (BudgetLimits(usd=1.1), 4),
        (BudgetLimits(tokens=60), 4),
    ],
)
def test_a_budget_holds_for_whole_batches(bench: Bench, limits: BudgetLimits, answered: int) -> None:
    """A batch whose worst case does not fit is not asked, and the answers so far are saved."""
    with pytest.raises(BudgetExceeded, match=matching("asking/what-was-answered-is-safe")):
        bench.ask(Stub(usd=0.1), limits)

    spent = bench.ledger.spent("x")

    assert spent.requests == answered
    assert len(bench.ask(Stub(usd=0.1))) == 10
