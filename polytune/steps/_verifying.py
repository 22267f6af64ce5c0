"""Decides on each answer as it arrives: accept it, request another, have it repaired, or drop the sample.

    answer --usable?--> --graders--> accepted
              |            |
              |            `--> drop     the sample is left out
              |            `--> redraw   another draw of the same request
              |            `--> repair   the same request, followed by the rejected answer and the error
              `--> redraw

The attempts of a sample follow from stored answers, so they are the same after a restart, and no attempt is
paid for twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec

from polytune.asking.client import Job, Reception, Respondent
from polytune.asking.failures import Failure, FailureKind
from polytune.asking.gauge import Gauge
from polytune.asking.reply import Reply
from polytune.data.samples import Derivation, Sample, SampledFollowUp, Value
from polytune.engine.answers import AnswerMemory, Ask, StoredAnswer
from polytune.engine.budget import Cost
from polytune.errors import StepFailed
from polytune.graders.interface import Case, Grader
from polytune.teachers.interface import (
    Repair,
    Request,
    Teacher,
    characters_per_token,
    expected_output_tokens,
    redraws_apart,
)

OnReject = Literal["drop", "redraw", "repair"]

refills = 2
"""How often a sample is retried in one run after its question was given up."""
fewest_losses, largest_lost_share = 10, 0.01
"""When more samples than this are lost to failures, the step stops sending requests."""
hopeless_rejects = 25
"""When this many samples are rejected for good before any is accepted, the step stops."""
# Weight of one answer in the moving average of lengths: about the last 20 answers count.
learning_share = 0.05
unknown_answer = "." * round(expected_output_tokens * characters_per_token)
"""Placeholder for an answer whose length must be estimated."""


@dataclass(frozen=True)
class RejectRules:
    """The rules for rejected answers."""

    on_reject: OnReject = "redraw"
    max_redraws: int = 3
    max_repairs: int = 2
    shortfall: float = 0.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to fill a sample's place."""

    index: int
    """The sample's position in the plan."""
    id: str
    request: Request
    """The request, including repairs so far."""
    planned_draw: int
    redraws: int = 0
    follow_ups: tuple[str, ...] = ()
    """The user's turns still to come in this conversation."""
    said: tuple[Repair, ...] = ()
    """The answers accepted so far in this conversation, each with the user's next turn."""
    asks: tuple[Ask, ...] = ()
    """The identities of those answers."""

    @property
    def prompt(self) -> str:
        """The user's turn that is answered now."""
        return self.said[-1].error if self.said else self.request.prompt

    def after(self, answer: str, ask: Ask) -> Attempt:
        """Return the first attempt at the user's next turn, after this answer was accepted."""
        said = (*self.said, Repair(answer=answer, error=self.follow_ups[0]))
        return replace(
            self,
            request=msgspec.structs.replace(self.request, repairs=said),
            redraws=0,
            follow_ups=self.follow_ups[1:],
            said=said,
            asks=(*self.asks, ask),
        )

    @property
    def draw(self) -> int:
        """The number of the draw of this request."""
        return self.planned_draw + redraws_apart * self.redraws


@dataclass(frozen=True)
class Rejection:
    """An answer that was not accepted."""

    attempt: Attempt
    ask: Ask
    by: str
    """The grader that rejected it; 'teacher' if it was not a usable answer."""
    reason: str


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `rejects.jsonl`."""

    sample: str
    """The id of the sample for which the answer was requested."""
    attempt: int
    """Number of the answer for that sample, from 0."""
    by: str
    reason: str
    variables: dict[str, Value]
    """The matrix cell and the slot values."""
    prompt: str
    request: str
    """The digest of the request; a request with repairs has its own."""
    draw: int
    body: str
    """The answer as received."""
    tokens: int = 0
    price_usd: float | None = 0.0


def turns_known(
    teacher: Teacher,
    ask_for: Callable[[Attempt], Ask],
    answers: AnswerMemory,
    attempt: Attempt,
    stored: StoredAnswer | None,
) -> Iterator[tuple[Attempt, StoredAnswer | None]]:
    """Yield every turn of a sample, with its answer if that and all earlier ones are stored.

    For estimates only: after an unknown answer, the next turn assumes one of the usual length.
    """
    while True:
        yield attempt, stored
        if not attempt.follow_ups:
            return
        text = unknown_answer
        if stored is not None and teacher.may_fail and teacher.flaw(stored.body, attempt.request, ()):
            stored = None
        if stored is not None:
            text = teacher.parse(stored.body, attempt.request).text
        attempt = attempt.after(text, ask_for(attempt))
        stored = None if stored is None else answers.get(ask_for(attempt))


class TeacherRespondent(Respondent[Attempt]):
    """Adapts a teacher to the client."""

    def __init__(self, teacher: Teacher) -> None:
        self.teacher = teacher
        self._written = expected_output_tokens

    async def reply(self, question: Attempt) -> Reply:
        """Return the teacher's reply, and update the expected length from it."""
        reply = await self.teacher.reply(question.request, question.draw)
        self._written += (reply.tokens.written - self._written) * learning_share
        return reply

    def at_most(self, question: Attempt) -> Cost:
        """Return the teacher's own worst case."""
        return self.teacher.at_most(question.request)

    def expected_tokens(self, question: Attempt) -> float:
        """Estimate from the length of the question and of the answers so far."""
        return question.request.characters / characters_per_token + self._written


@dataclass(frozen=True)
class StepGrader:
    """A grader and its name in this step."""

    name: str
    grader: Grader


@dataclass
class SamplePlaces(Reception[Attempt]):
    """The state of every sample's place: its accepted answer, and what was tried for it."""

    teacher: Teacher
    judges: Sequence[StepGrader]
    rules: RejectRules
    answers: AnswerMemory
    gauge: Gauge
    ask_for: Callable[[Attempt], Ask]
    """Returns the identity under which an attempt's answer is stored."""
    rejections: dict[int, list[Rejection]] = field(default_factory=dict)
    """By place; only for samples with rejections."""
    taken: dict[int, Ask] = field(default_factory=dict)
    """By place; only for samples that were not accepted at the first attempt."""
    lost: dict[int, str] = field(default_factory=dict)
    """By place: why there is no answer."""
    conversations: dict[int, Attempt] = field(default_factory=dict)
    """By place: the last attempt; only for samples with several turns."""
    turned_down: set[int] = field(default_factory=set)
    """Places for which every attempt was rejected."""
    _refilled: dict[int, int] = field(default_factory=dict)
    _taken_count: int = 0

    async def landed(self, job: Job[Attempt], answer: StoredAnswer) -> Job[Attempt] | None:
        """Accept the answer, or return the next attempt."""
        attempt = job.question
        # A first attempt starts the chain over: a stored answer may be judged more than once in a run.
        if attempt.redraws == 0 and not attempt.request.repairs:
            self.rejections.pop(attempt.index, None)
        fault = self.unusable(attempt, answer) or await self._judged(attempt, answer)
        if fault is None and attempt.follow_ups:
            text = self.teacher.parse(answer.body, attempt.request).text
            return self._job(attempt.after(text, answer.ask))
        if fault is None:
            self.take(attempt, answer.ask)
            return None
        by, reason = fault
        self.rejections.setdefault(attempt.index, []).append(Rejection(attempt, answer.ask, by, reason))
        self.gauge.rejected += 1
        follow = self._next(attempt, answer, by, reason)
        if follow is None:
            self._turn_down(attempt, reason)
            return None
        return self._job(follow)

    def _job(self, follow: Attempt) -> Job[Attempt]:
        """Return the next attempt, with its answer if it is stored."""
        ask = self.ask_for(follow)
        known = self.answers.get(ask)
        self.gauge.reused += known is not None
        return Job(ask, follow, known)

    async def given_up(self, job: Job[Attempt], failure: Failure) -> Job[Attempt] | None:
        """Retry the question a limited number of times, then mark the place as lost."""
        index = job.question.index
        self._refilled[index] = self._refilled.get(index, 0) + 1
        # UNFIT means that the service refuses this question as such; sending it again changes nothing.
        if failure.kind is not FailureKind.UNFIT and self._refilled[index] <= refills:
            return job
        self.lost[index] = str(failure)
        self.gauge.settled()
        # Many losses have a common cause. Stop before the budget is spent on a step that fails anyway.
        if len(self.lost) > max(fewest_losses, largest_lost_share * self.gauge.total):
            raise StepFailed(self._shortfall(len(self.lost)))
        return None

    def take(self, attempt: Attempt, ask: Ask) -> None:
        """Mark the sample's place as filled."""
        # Only exceptions are kept: the plan itself tells the answer of a place that was accepted at once.
        if attempt.index in self.rejections or attempt.said:
            self.taken[attempt.index] = ask
        if attempt.said:
            self.conversations[attempt.index] = attempt
        self._taken_count += 1
        self.gauge.settled()

    def unusable(self, attempt: Attempt, answer: StoredAnswer) -> tuple[str, str] | None:
        """Return who rejects the body as unusable, and why; None when it is usable."""
        if not self.teacher.may_fail:
            return None
        reason = self.teacher.flaw(answer.body, attempt.request, self._earlier(attempt))
        return ("teacher", reason) if reason else None

    async def _judged(self, attempt: Attempt, answer: StoredAnswer) -> tuple[str, str] | None:
        if not self.judges:
            return None
        text = self.teacher.parse(answer.body, attempt.request).text
        case = Case(prompt=attempt.prompt, answer=text, variables=attempt.request.variables)
        for judge in self.judges:
            verdict = await judge.grader.judge(case)
            if not verdict.passed:
                return judge.name, verdict.reason or "it did not pass"
        return None

    def _earlier(self, attempt: Attempt) -> frozenset[str]:
        """Return the texts of lower draws of the same request and of this place's own earlier attempts."""
        if not self.teacher.repeats_itself or not attempt.draw:
            return frozenset()
        # Some teachers give the same answer again for a further draw; a repetition is not a new sample.
        base = replace(attempt, redraws=0)
        asks = [self.ask_for(replace(base, planned_draw=draw)) for draw in range(attempt.planned_draw)]
        asks += [self.ask_for(replace(base, redraws=number)) for number in range(attempt.redraws)]
        found = self.answers.find(asks)
        return frozenset(self.teacher.parse(each.body, attempt.request).text for each in found)

    def _next(self, attempt: Attempt, answer: StoredAnswer, by: str, reason: str) -> Attempt | None:
        """Return the next attempt after a rejected one; None when there is none."""
        rules, request = self.rules, attempt.request
        if by != "teacher" and rules.on_reject == "drop":
            return None
        # An unusable answer (empty, cut off) has nothing to repair; it is always drawn again.
        if by != "teacher" and rules.on_reject == "repair":
            if len(request.repairs) - len(attempt.said) >= rules.max_repairs:
                return None
            said = self.teacher.parse(answer.body, request).text
            repairs = (*request.repairs, Repair(answer=said, error=reason))
            return replace(attempt, request=msgspec.structs.replace(request, repairs=repairs))
        return replace(attempt, redraws=attempt.redraws + 1) if attempt.redraws < rules.max_redraws else None

    def _turn_down(self, attempt: Attempt, reason: str) -> None:
        self.turned_down.add(attempt.index)
        self.gauge.settled()
        if not self._taken_count and len(self.turned_down) >= hopeless_rejects:
            raise StepFailed(
                f"the first {len(self.turned_down)} samples were all rejected, so the rest are not asked; "
                f"the last one because {reason}"
            )

    def check_complete(self) -> None:
        """Raise StepFailed when more samples are missing than the rules allow."""
        total = self.gauge.total
        # With `drop`, rejected samples are meant to be missing.
        missing = len(self.lost) + (0 if self.rules.on_reject == "drop" else len(self.turned_down))
        nothing = len(self.lost) + len(self.turned_down) >= total
        if missing > self.rules.shortfall * total or nothing:
            raise StepFailed(self._shortfall(missing if missing else len(self.turned_down)))

    def _shortfall(self, missing: int) -> str:
        said = [*self.lost.values(), *(chain[-1].reason for chain in self.rejections.values())]
        lost = f"{len(self.lost):,} were never answered" if self.lost else ""
        rejected = f"{len(self.turned_down):,} were rejected in every attempt" if self.turned_down else ""
        parts = " and ".join(filter(None, (lost, rejected)))
        loosen = "Raise max_redraws or max_repairs, relax the graders, or set `shortfall`"
        remedy = "Run again to ask for the missing ones" if self.lost else loosen
        return (
            f"{missing:,} of {self.gauge.total:,} samples are missing: {parts}. "
            f"One reason: {said[0]}. Answers received so far are saved. {remedy}."
        )


def answers_in(samples: Iterable[bytes]) -> Iterator[StoredAnswer]:
    """Yield the answers in a samples file, to rebuild a lost ledger."""
    for line in samples:
        sample = msgspec.json.decode(line, type=Sample)
        yield _stored(sample, sample.answer)
        for each in sample.follow_ups or ():
            yield _stored(each, each.answer)
        if sample.derivation:
            yield _stored(sample.derivation, sample.derivation.answer)


def _stored(paid: Sample | SampledFollowUp | Derivation, text: str) -> StoredAnswer:
    """Return an answer from one line of a samples file."""
    answer = {"text": text, "usage": msgspec.to_builtins(paid.usage), "price_usd": paid.price_usd}
    return StoredAnswer(
        ask=Ask(paid.request, paid.draw),
        body=msgspec.json.encode(answer),
        tokens=paid.usage.input_tokens + paid.usage.output_tokens,
        price_usd=paid.price_usd,
    )


def rejects_in(rejects: Iterable[bytes]) -> Iterator[StoredAnswer]:
    """Yield the answers in a rejects file."""
    for line in rejects:
        reject = msgspec.json.decode(line, type=Rejected)
        yield StoredAnswer(
            ask=Ask(reject.request, reject.draw),
            body=reject.body.encode(),
            tokens=reject.tokens,
            price_usd=reject.price_usd,
        )
