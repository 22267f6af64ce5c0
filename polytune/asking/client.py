"""Asks many questions of one endpoint, and keeps every paid answer before anything else is done with it.

    fresh --.             .--> failed --> asked again later
            +--> attempt -+
    due ----'             `--> stored --> landed --> settled, or asked anew (a redraw, a repair)

What is sent next, and when, is decided in one place that never waits: the circuit breaker, the concurrency
limit, the rate limits and the budget each have a say. A task that has received an answer sends the next
question itself, so an answer costs no more turns of the event loop than in a bare loop. Questions are pulled
one by one, and the number of waiting ones is bounded, so memory does not grow with their number. Retries go
before fresh questions: there is no pass of retries at the end.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

from polytune.asking.endpoint import Endpoint
from polytune.asking.failures import Failure, FailureKind
from polytune.asking.gauge import Gauge
from polytune.asking.reply import Reply
from polytune.asking.retries import QuestionRetries, RetryLimits
from polytune.engine.answers import AnswerMemory, Ask, StoredAnswer
from polytune.engine.budget import Budget, Cost, no_cost
from polytune.errors import Paused, PolytuneError, StepFailed

Q = TypeVar("Q")

grace_seconds = 1.0
"""After a stop, questions in flight may still be answered for this long."""
longest_nap_seconds = 0.5
"""While nothing can be sent, the live line is still updated this often."""
hopeless_jobs = 5
"""After this many questions are given up without a single answer, the rest are not asked."""


@dataclass(frozen=True, slots=True)
class Job(Generic[Q]):
    """One answer that is wanted: what to ask, and the name under which it is remembered."""

    ask: Ask
    question: Q
    known: StoredAnswer | None = None
    """The answer, if it was remembered: it is handled like one that has just arrived."""


class Respondent(ABC, Generic[Q]):
    """What answers questions: a teacher, or a model of a platform."""

    @abstractmethod
    async def reply(self, question: Q) -> Reply:
        """The answer as billed. Raises Failure when there is none."""

    @abstractmethod
    def at_most(self, question: Q) -> Cost:
        """The most that an answer can cost."""

    @abstractmethod
    def expected_tokens(self, question: Q) -> float:
        """What an answer usually takes, in and out together."""


class Reception(ABC, Generic[Q]):
    """What the answers are for: decides what follows from each."""

    @abstractmethod
    async def landed(self, job: Job[Q], answer: StoredAnswer) -> Job[Q] | None:
        """The answer is durable; what is asked next in its place, or None when all is well.

        Of a batch, `answer` is the first one; the others are in memory beside it.
        """

    @abstractmethod
    async def given_up(self, job: Job[Q], failure: Failure) -> Job[Q] | None:
        """The question is given up; what is asked in its place, or None.

        Raises StepFailed when so many are lost that asking the rest is pointless.
        """


@dataclass
class _JobInFlight(Generic[Q]):
    """A job in flight, with its failed attempts."""

    job: Job[Q]
    most: Cost = no_cost
    expected: float = 0.0
    started: float = 0.0
    retries: QuestionRetries | None = None
    """None until an attempt fails."""


class Client(Generic[Q]):
    """One step's questions to one endpoint."""

    def __init__(
        self,
        respondent: Respondent[Q],
        endpoint: Endpoint,
        memory: AnswerMemory,
        budget: Budget,
        gauge: Gauge,
        limits: RetryLimits,
    ) -> None:
        self.respondent = respondent
        self.endpoint = endpoint
        self.memory = memory
        self.budget = budget
        self.gauge = gauge
        self.limits = limits
        self._jobs: Iterator[Job[Q]] = iter(())
        self._reception: Reception[Q]
        self._later: list[tuple[float, int, _JobInFlight[Q]]] = []
        self._order = count()
        self._next: _JobInFlight[Q] | None = None
        self._exhausted = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._done = asyncio.Event()
        self._stopped = False
        self._failure: Exception | None = None
        self._given_up = 0
        self._room = 4 * endpoint.concurrency.most + 16
        """Tasks and waiting retries at most."""

    async def ask_all(self, jobs: Iterator[Job[Q]], reception: Reception[Q]) -> None:
        """Every job is settled.

        Raises BudgetExceeded, StepFailed, or Paused when it can go on later (the endpoint is down, a quota
        is used up); what was in flight has landed by then. When cancelled, what is in flight may land for
        another second.
        """
        self._jobs, self._reception, self._exhausted = jobs, reception, False
        self._done.clear()
        self._send_all()
        try:
            await self._done.wait()
        finally:
            self._stopped = True
            await self._wind_up()
            self._stopped = False
        if isinstance(self._failure, Paused):
            saved = f"{self.gauge.answers:,} answers of this run are saved: run again to continue"
            raise Paused(f"{self._failure}. {saved}") from self._failure
        if self._failure is not None:
            raise self._failure

    async def _wind_up(self) -> None:
        """No task and no timer is left."""
        # Answers in flight are paid for already: give them a moment to be stored.
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_seconds)
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # what is sent next

    def _send_all(self) -> None:
        """Everything that may be sent now is sent."""
        while (trial := self._sendable()) is not None:
            self._start(self._work(trial))
        if not self._tasks and (self._failure is not None or self._is_finished()):
            self._done.set()

    def _is_finished(self) -> bool:
        return self._exhausted and self._next is None and not self._later

    def _sendable(self) -> _JobInFlight[Q] | None:
        """The question to send now, with what it needs reserved; None when there is none now."""
        while self._failure is None and not self._stopped:
            if self._next is None and not self._take():
                self._look_again(self._later[0][0] - time.monotonic() if self._later else None, "")
                return None
            trial = self._next
            assert trial is not None
            if trial.job.known is not None:
                self._next = None
                self._start(self._receive(trial.job, trial.job.known))
                continue
            try:
                held = self._held(trial)
            except PolytuneError as error:
                self._fail(error)
                return None
            if held is not None:
                self._look_again(*held)
                return None
            self._next = None
            self.endpoint.limiter.reserve(trial.expected)
            self.endpoint.asked()
            return trial
        return None

    def _take(self) -> bool:
        """Whether there is a question to send next: one that is due again, else a fresh one."""
        if self._later and self._later[0][0] <= time.monotonic():
            self._next = heapq.heappop(self._later)[2]
            return True
        if self._exhausted or len(self._tasks) + len(self._later) >= self._room:
            return False
        try:
            job = next(self._jobs, None)
        except PolytuneError as error:
            self._fail(error)
            return False
        if job is None:
            self._exhausted = True
            return False
        self._next = _JobInFlight(job)
        return True

    def _held(self, trial: _JobInFlight[Q]) -> tuple[float | None, str] | None:
        """Why the question is not sent now, and in how many seconds to check again (None: when something
        else happens); None when it is sent."""
        wait = self.endpoint.circuit.wait()
        if wait:
            return wait, self._paused(wait)
        concurrency = self.endpoint.concurrency
        wait_for_place = concurrency.wait()
        if wait_for_place != 0.0:
            return wait_for_place, "limited by refusals" if concurrency.lowered else ""
        if not trial.expected:
            trial.most = self.respondent.at_most(trial.job.question)
            trial.expected = max(1.0, self.respondent.expected_tokens(trial.job.question))
        limit = self.endpoint.limiter.wait(trial.expected)
        if limit is not None:
            return limit.seconds, f"limited by {limit.what}"
        if not self.budget.reserve(trial.most):
            return None, "limited by the budget"
        return None

    def _paused(self, wait: float) -> str:
        when = "now" if wait == float("inf") else f"in {wait:.0f} s"
        return f"paused, {self.endpoint.name} is down, retrying {when}"

    def _look_again(self, seconds: float | None, limited_by: str) -> None:
        """Waiting questions are checked again in so many seconds at most; the live line says why."""
        self.gauge.limited_by = limited_by
        self.gauge.retrying = len(self._later)
        self.gauge.next_retry = self._later[0][0] if self._later else None
        self.gauge.tell()
        at = time.monotonic() + min(longest_nap_seconds, longest_nap_seconds if seconds is None else seconds)
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = asyncio.get_running_loop().call_later(max(0.0, at - time.monotonic()), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._send_all()

    # attempts

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            assert isinstance(error, Exception)
            self._fail(error)
        self._send_all()

    def _fail(self, error: Exception) -> None:
        if self._failure is None:
            self._failure = error

    async def _work(self, first: _JobInFlight[Q]) -> None:
        """The question is asked, and others after it as long as there are any to send."""
        trial: _JobInFlight[Q] | None = first
        while trial is not None:
            try:
                answer = await self._attempt(trial)
            except Failure as failure:
                await self._failed(trial, failure)
            else:
                self._start(self._land(trial.job, answer))
            trial = self._sendable()
            if trial is not None and self.endpoint.concurrency.growing:
                self._send_all()

    async def _attempt(self, trial: _JobInFlight[Q]) -> Reply:
        """The reply, with everything that was reserved settled. Raises Failure."""
        began = time.monotonic()
        trial.started = trial.started or began
        # Until a reply or a Failure says otherwise (a cancellation says nothing), the worst case is billed.
        cost, rest, used = trial.most, 0.0, 0
        try:
            reply = await self.respondent.reply(trial.job.question)
            used = reply.tokens.all
            cost = Cost(usd=reply.price_usd, tokens=used, requests=len(reply.parts) or 1)
            self.endpoint.answered(time.monotonic() - began)
        except Failure as failure:
            cost = trial.most if failure.maybe_billed else no_cost
            rest = self._observe(failure)
            raise
        finally:
            self.budget.settle(trial.most, cost)
            self.endpoint.limiter.settle(trial.expected, used)
            self._free_place(rest)
        if reply.limits is not None:
            self.endpoint.limiter.learn(reply.limits)
        return reply

    def _free_place(self, rest: float) -> None:
        """The question's place is free again, after a rest in seconds."""
        if rest > 0:
            asyncio.get_running_loop().call_later(rest, self._rested)
        else:
            self.endpoint.concurrency.release()

    def _rested(self) -> None:
        self.endpoint.concurrency.release()
        self._send_all()

    async def _land(self, job: Job[Q], reply: Reply) -> None:
        parts = reply.parts or (reply,)
        # All answers of a batch share one transaction: half a batch would have to be asked again whole.
        answers = [_stored(job.ask, place, part) for place, part in enumerate(parts)]
        await self.memory.put(*answers)
        for part in parts:
            self.gauge.answered(part.price_usd, part.tokens)
        await self._receive(job, answers[0])

    async def _receive(self, job: Job[Q], answer: StoredAnswer) -> None:
        follow = await self._reception.landed(job, answer)
        if follow is not None:
            self._ask_later(_JobInFlight(follow), 0.0)

    # failures

    def _observe(self, failure: Failure) -> float:
        """The endpoint's state reflects the failure; returns how many seconds the question's place rests."""
        self.gauge.failed(failure.kind)
        self.endpoint.failed()
        circuit = self.endpoint.circuit
        if failure.kind.down:
            circuit.failed()
        elif failure.kind is FailureKind.OVERLOADED:
            circuit.alive()
            return self.endpoint.concurrency.refused(failure.retry_after)
        else:
            circuit.worked()
        return 0.0

    async def _failed(self, trial: _JobInFlight[Q], failure: Failure) -> None:
        """The question is asked again later, or another in its place; or it is time to stop."""
        if failure.kind is FailureKind.QUOTA:
            raise Paused(str(failure)) from failure
        if failure.kind.fatal:
            raise failure
        if failure.retry_after is not None and failure.retry_after > self.limits.silence_seconds:
            asked_for = f"{self.endpoint.name} asks to wait {failure.retry_after:,.0f} s"
            raise Paused(f"{asked_for}: {failure}") from failure
        self._give_up_if_silent(failure)
        pause = await self._pause(trial, failure)
        if pause is not None:
            self._ask_later(trial, pause)
            return
        self._given_up += 1
        follow = await self._reception.given_up(trial.job, failure)
        if self._given_up >= hopeless_jobs and not self.gauge.answers:
            asked = f"{self._given_up} questions were asked and none was answered"
            raise StepFailed(f"{asked}; last error: {failure}")
        if follow is not None:
            self._ask_later(_JobInFlight(follow), 0.0)

    async def _pause(self, trial: _JobInFlight[Q], failure: Failure) -> float | None:
        """Seconds until the question is asked again; None when it is given up."""
        if trial.retries is None:
            trial.retries = QuestionRetries(self.limits, trial.started)
        # While the circuit is open the endpoint is to blame: that uses up none of the question's attempts.
        if failure.kind.down and self.endpoint.circuit.open:
            return 0.0 if trial.retries.has_time() else None
        return await trial.retries.after(failure)

    def _give_up_if_silent(self, failure: Failure) -> None:
        seconds, answered = self.endpoint.failing_seconds(), self.endpoint.has_answered
        if self.limits.gives_up_endpoint(failure, seconds, answered=answered):
            silent = f"{self.endpoint.name} has not answered for {seconds:.0f} s"
            raise Paused(f"{silent}; last error: {failure}") from failure

    def _ask_later(self, trial: _JobInFlight[Q], seconds: float) -> None:
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._order), trial))


def _stored(ask: Ask, place: int, reply: Reply) -> StoredAnswer:
    """The reply as it is remembered; `place` is where it stands in a batch, 0 for a question of its own."""
    own = Ask(ask.request, ask.draw + place) if place else ask
    return StoredAnswer(ask=own, body=reply.body, price_usd=reply.price_usd, tokens=reply.tokens.all)
