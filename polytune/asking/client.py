"""Sends many questions to one endpoint, and stores every paid answer before doing anything else with it.

    fresh --.             .--> failed --> asked again later
            +--> attempt -+
    due ----'             `--> stored --> landed --> settled, or asked anew (a redraw, a repair)

One function that never waits decides what is sent next and when: the circuit breaker, the concurrency limit,
the rate limits and the budget can each hold a question back. A task that receives an answer sends the next
question itself, so an answer costs no more turns of the event loop than in a bare loop. Questions are pulled
one at a time and the number waiting is bounded, so memory use does not grow with the number of questions.
Retries go before fresh questions: there is no separate retry pass at the end.
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
"""How long questions in flight may still be answered after a stop."""
longest_nap_seconds = 0.5
"""How often the live line is updated while nothing can be sent."""
hopeless_jobs = 5
"""The step fails after giving up on this many questions without a single answer."""


@dataclass(frozen=True, slots=True)
class Job(Generic[Q]):
    """One answer to get: the question, and the key under which the answer is stored."""

    ask: Ask
    question: Q
    known: StoredAnswer | None = None
    """The stored answer, if there is one; it is handled like one that has just arrived."""


class Respondent(ABC, Generic[Q]):
    """Answers questions: a teacher, or a model on a platform."""

    @abstractmethod
    async def reply(self, question: Q) -> Reply:
        """Return the reply as billed. Raises Failure when there is none."""

    @abstractmethod
    def at_most(self, question: Q) -> Cost:
        """The maximum cost of an answer."""

    @abstractmethod
    def expected_tokens(self, question: Q) -> float:
        """The usual number of tokens for an answer, input and output together."""


class Reception(ABC, Generic[Q]):
    """Uses the answers: decides what happens after each one."""

    @abstractmethod
    async def landed(self, job: Job[Q], answer: StoredAnswer) -> Job[Q] | None:
        """Handle an answer that is now durable; return a follow-up job to ask instead, or None if it is fine.

        For a batch, `answer` is the first answer; the others are in the answer memory under the next draws.
        """

    @abstractmethod
    async def given_up(self, job: Job[Q], failure: Failure) -> Job[Q] | None:
        """Handle a question that is given up; return a job to ask instead, or None.

        Raises StepFailed when so many questions are lost that asking the rest is pointless.
        """


@dataclass
class _JobInFlight(Generic[Q]):
    """A job in flight, its reservations and its failed attempts."""

    job: Job[Q]
    most: Cost = no_cost
    expected: float = 0.0
    started: float = 0.0
    retries: QuestionRetries | None = None
    """None until an attempt fails; most jobs never need it."""


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
        # Answers that are still being stored hold a task too, so the bound is a multiple of the concurrency.
        self._room = 4 * endpoint.concurrency.most + 16
        """The maximum number of tasks and waiting retries together."""

    async def ask_all(self, jobs: Iterator[Job[Q]], reception: Reception[Q]) -> None:
        """Settle every job.

        Raises BudgetExceeded, StepFailed, or Paused when the run can continue later (the endpoint is down, a
        quota is used up). In every case, including cancellation, questions in flight first get
        `grace_seconds` to be answered and stored.
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
        """End every task and timer."""
        # Answers in flight are already paid for, so give them time to arrive and be stored.
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
        """Send every question that may be sent now."""
        while (trial := self._sendable()) is not None:
            self._start(self._work(trial))
        if not self._tasks and (self._failure is not None or self._is_finished()):
            self._done.set()

    def _is_finished(self) -> bool:
        return self._exhausted and self._next is None and not self._later

    def _sendable(self) -> _JobInFlight[Q] | None:
        """Reserve what the next question needs and return it; None when none can be sent now.

        This never awaits: between the checks and the reservations no other task may run, or two tasks could
        take the same place.
        """
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
                # The question stays in `_next` and keeps its turn, so that smaller ones do not overtake it.
                self._look_again(*held)
                return None
            self._next = None
            self.endpoint.limiter.reserve(trial.expected)
            self.endpoint.asked()
            return trial
        return None

    def _take(self) -> bool:
        """Whether there is a question to send next: a retry that is due, else a fresh one."""
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
        """Why the question must wait, and in how many seconds to check again (None: after the next event).

        Returns None when the question can be sent; its cost is then reserved in the budget.
        """
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
        # The budget comes last, because this check reserves: after it nothing may hold the question back.
        if not self.budget.reserve(trial.most):
            return None, "limited by the budget"
        return None

    def _paused(self, wait: float) -> str:
        when = "now" if wait == float("inf") else f"in {wait:.0f} s"
        return f"paused, {self.endpoint.name} is down, retrying {when}"

    def _look_again(self, seconds: float | None, limited_by: str) -> None:
        """Check waiting questions again within `seconds`; the live line shows the reason."""
        self.gauge.limited_by = limited_by
        self.gauge.retrying = len(self._later)
        self.gauge.next_retry = self._later[0][0] if self._later else None
        self.gauge.tell()
        at = time.monotonic() + min(longest_nap_seconds, longest_nap_seconds if seconds is None else seconds)
        if self._timer is not None:
            # One timer is enough: the earlier check looks at everything, and sets the next timer.
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
        # The first error is the cause; later ones are often its consequences.
        if self._failure is None:
            self._failure = error

    async def _work(self, first: _JobInFlight[Q]) -> None:
        """Ask the question, then others as long as there are any to send."""
        trial: _JobInFlight[Q] | None = first
        while trial is not None:
            try:
                answer = await self._attempt(trial)
            except Failure as failure:
                await self._failed(trial, failure)
            else:
                # Storing has a task of its own, so that this place asks the next question meanwhile.
                self._start(self._land(trial.job, answer))
            trial = self._sendable()
            # This task refills only its own place. An answer may have raised the limit: start more tasks.
            if trial is not None and self.endpoint.concurrency.growing:
                self._send_all()

    async def _attempt(self, trial: _JobInFlight[Q]) -> Reply:
        """Return the reply and settle all reservations. Raises Failure."""
        began = time.monotonic()
        trial.started = trial.started or began
        # A cancelled request may still be billed: assume the worst case until a reply or a Failure says more.
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
        """Free the question's place, after `rest` seconds."""
        if rest > 0:
            asyncio.get_running_loop().call_later(rest, self._rested)
        else:
            self.endpoint.concurrency.release()

    def _rested(self) -> None:
        self.endpoint.concurrency.release()
        self._send_all()

    async def _land(self, job: Job[Q], reply: Reply) -> None:
        parts = reply.parts or (reply,)
        # All answers of a batch share one transaction: if only half were stored, the whole batch would have
        # to be asked again.
        answers = [_stored(job.ask, place, part) for place, part in enumerate(parts)]
        # Durable first: a crash in whatever the reception does must not lose a paid answer.
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
        """Update the endpoint's state; return for how many seconds the question's place rests."""
        self.gauge.failed(failure.kind)
        self.endpoint.failed()
        circuit = self.endpoint.circuit
        if failure.kind.down:
            circuit.failed()
        elif failure.kind is FailureKind.OVERLOADED:
            # An overloaded endpoint works: the concurrency limit slows down, the circuit does not open.
            circuit.alive()
            return self.endpoint.concurrency.refused(failure.retry_after)
        else:
            circuit.worked()
        return 0.0

    async def _failed(self, trial: _JobInFlight[Q], failure: Failure) -> None:
        """Ask the question again later, or a replacement for it.

        Raises Paused, StepFailed or the failure itself when the step must stop.
        """
        if failure.kind is FailureKind.QUOTA:
            raise Paused(str(failure)) from failure
        if failure.kind.fatal:
            raise failure
        # Pausing the run frees the machine; waiting longer than the patience limit would look like a hang.
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
        # While the circuit is open, the endpoint is at fault: do not count this against the question.
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
    """The reply in its stored form; `place` is its index in a batch, 0 for a single question."""
    own = Ask(ask.request, ask.draw + place) if place else ask
    return StoredAnswer(ask=own, body=reply.body, price_usd=reply.price_usd, tokens=reply.tokens.all)
