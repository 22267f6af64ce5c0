"""Sends many questions at once, in rounds of batches, until few enough are left to send one by one.

    first    every question without a stored answer
    next     what follows from the answers: failed records, redraws, repairs, next turns
    last     fewer than a batch takes: the client sends them like those of any other teacher

Answers are stored as they arrive. What happens to each is decided in `_verifying`, as for other teachers, so
a crash between two rounds changes nothing and costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from polytune.asking.client import Job
from polytune.asking.failures import Failure
from polytune.asking.gauge import Gauge
from polytune.asking.reply import Reply
from polytune.engine.answers import AnswerMemory, Ask, StoredAnswer
from polytune.engine.artifacts import Facts
from polytune.engine.budget import Budget, Cost, no_cost
from polytune.engine.jobs import Jobs
from polytune.engine.step import Progress, Scope, Work
from polytune.steps._questions import Questions
from polytune.steps._verifying import Attempt, SamplePlaces
from polytune.teachers.interface import BatchContext, BatchProgress, BatchQuestion, BatchTeacher

looked_up_at_once = 256

Asked = Callable[[], Iterator[Job[Attempt]]]
"""Generates every job of a plan; `known` is the answer stored by then."""


@dataclass
class GenerateBatchContext(BatchContext):
    """The generate step, as seen by a teacher that answers many questions at once."""

    jobs: Jobs
    folder: Path
    label: Facts
    answers: AnswerMemory
    gauge: Gauge
    budget: Budget
    bought: int = 0
    failures: dict[Ask, Failure] = field(default_factory=dict)
    reserved: dict[Ask, Cost] = field(default_factory=dict)
    """The reservation of each question in flight."""

    def reserve(self, ask: Ask, most: Cost) -> bool:
        """Reserve the cost; False when the budget has no room for it."""
        if not self.budget.reserve(most):
            return False
        self.reserved[ask] = most
        return True

    def release(self, asks: Sequence[Ask]) -> None:
        """Release the reservations of these questions."""
        for ask in asks:
            self._settle(ask, no_cost)

    def _settle(self, ask: Ask, used: Cost) -> None:
        most = self.reserved.pop(ask, None)
        if most is None:
            self.budget.spend(used)
        else:
            self.budget.settle(most, used)

    async def landed(self, replies: Sequence[tuple[Ask, Reply]]) -> None:
        """Store and count the answers, except those that were stored before."""
        # The results of a batch may be read again after a crash; answers are counted and paid for once.
        known = {stored.ask for stored in self.answers.find(ask for ask, _ in replies)}
        self.release(list(known))
        fresh = [(ask, reply) for ask, reply in replies if ask not in known]
        await asyncio.gather(*(self._put(ask, reply) for ask, reply in fresh))

    async def _put(self, ask: Ask, reply: Reply) -> None:
        tokens = reply.tokens.all
        await self.answers.put(
            StoredAnswer(ask=ask, body=reply.body, price_usd=reply.price_usd, tokens=tokens)
        )
        self.bought += 1
        self._settle(ask, Cost(usd=reply.price_usd, tokens=tokens))
        self.gauge.answered(reply.price_usd, reply.tokens)

    def failed(self, ask: Ask, failure: Failure) -> None:
        """Note the failure; what follows from it is decided later."""
        self._settle(ask, no_cost)
        self.failures[ask] = failure

    def report(self, progress: BatchProgress) -> None:
        """Report the jobs' note and number of answers."""
        gauge = self.gauge
        done = min(gauge.total, gauge.done + progress.answered)
        gauge.report(
            Progress(done=done, total=gauge.total, unit="answers", note=progress.note, usd=gauge.usd)
        )


@dataclass
class Rounds:
    """The batches of one step."""

    teacher: BatchTeacher
    context: GenerateBatchContext
    places: SamplePlaces
    at_once: int
    """Number of answers that are judged at once."""

    async def left(self, questions: Questions, plan: Asked) -> Iterator[Job[Attempt]]:
        """Send batches; return the few jobs too small for one. Every other job is settled.

        Raises what `answer_all` and `Places` raise.
        """
        await self.teacher.answer_all(partial(self._unasked, questions), self.context)
        left = await self._settled(plan())
        # The plan counts every stored answer as reused, including those that this round has just paid for.
        self.places.gauge.reused -= self.context.bought
        while len(left) >= self.teacher.fewest:
            before = self.context.bought
            sent = await self.teacher.answer_all(partial(self._missing, left), self.context)
            if not sent and self.context.bought == before:
                # No progress: another round would be the same. The client reports why each question fails.
                break
            left = await self._settled(self._looked_up(left))
        if left:
            few = f"{len(left):,} are sent one by one: a batch needs {self.teacher.fewest} or more"
            self.places.gauge.say(few)
        return iter(left)

    def _unasked(self, questions: Questions) -> Iterator[BatchQuestion]:
        for question, stored in questions.looked_up(self.context.answers):
            if stored is None:
                yield BatchQuestion(question.ask, question.request)

    def _missing(self, jobs: Iterable[Job[Attempt]]) -> Iterator[BatchQuestion]:
        for job in self._looked_up(jobs):
            if job.known is None:
                yield BatchQuestion(job.ask, job.question.request)

    def _looked_up(self, jobs: Iterable[Job[Attempt]]) -> Iterator[Job[Attempt]]:
        """Yield the jobs, each with its stored answer, if any."""
        waiting = iter(jobs)
        while group := list(islice(waiting, looked_up_at_once)):
            known = {stored.ask: stored for stored in self.context.answers.find(job.ask for job in group)}
            yield from (Job(job.ask, job.question, known.get(job.ask)) for job in group)

    async def _settled(self, jobs: Iterator[Job[Attempt]]) -> list[Job[Attempt]]:
        """Process every stored answer; return the jobs to send next."""
        left: list[Job[Attempt]] = []
        while group := list(islice(jobs, self.at_once)):
            found = await asyncio.gather(*(self._followed(job) for job in group))
            left += [job for job in found if job is not None]
        return left

    async def _followed(self, job: Job[Attempt]) -> Job[Attempt] | None:
        """Follow a place to the first job without an answer; None when the place is settled."""
        current: Job[Attempt] | None = job
        while current is not None:
            if current.known is not None:
                current = await self.places.landed(current, current.known)
                continue
            failure = self.context.failures.pop(current.ask, None)
            if failure is None:
                return current
            current = await self.places.given_up(current, failure)
        return None


def rounds_of(teacher: BatchTeacher, work: Work, scope: Scope, places: SamplePlaces) -> Rounds:
    """Return the batches of a generate step."""
    label: Facts = {"project": scope.project, "experiment": scope.experiment, "step": "generate"}
    context = GenerateBatchContext(work.jobs, work.folder, label, work.answers, places.gauge, work.budget)
    return Rounds(teacher, context, places, scope.settings.concurrency)
