"""What becomes of an answer as it lands: taken, asked for anew, sent back to be repaired, or left out.

    answer --usable?--> --graders--> taken
              |            |
              |            `--> drop     the sample is left out
              |            `--> redraw   another draw of the same request
              |            `--> repair   the same request with the rejected answer and the error behind it
              `--> redraw

The chain of a sample's attempts follows from what is remembered, so it is the same after a restart, and
no attempt in it is paid twice.
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
from polytune.data.samples import Derivation, LinkedSample, Sample, SampledFollowUp, Value
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
"""How often a sample whose question was given up is asked for anew in one run."""
fewest_losses, largest_lost_share = 10, 0.01
"""When more samples than this are lost to failures, the rest are not asked."""
hopeless_rejects = 25
"""So many samples rejected for good before the first is taken, and the rest are not asked."""
learning_share = 0.05
unknown_answer = "." * round(expected_output_tokens * characters_per_token)
"""Stands for an answer whose length must be estimated."""


@dataclass(frozen=True)
class RejectRules:
    """How answers are judged and what follows."""

    on_reject: OnReject = "redraw"
    max_redraws: int = 3
    max_repairs: int = 2
    shortfall: float = 0.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to fill a sample's place."""

    index: int
    """The sample's place in the plan."""
    id: str
    request: Request
    """With the repairs asked for so far."""
    planned_draw: int
    redraws: int = 0
    follow_ups: tuple[str, ...] = ()
    """The user's turns that are still to come in this conversation."""
    said: tuple[Repair, ...] = ()
    """The answers taken so far in this conversation, each with the user's next turn."""
    asks: tuple[Ask, ...] = ()
    """The names of those answers."""

    @property
    def prompt(self) -> str:
        """The user's turn that is answered now."""
        return self.said[-1].error if self.said else self.request.prompt

    def after(self, answer: str, ask: Ask) -> Attempt:
        """The first attempt at the user's next turn, this answer being taken."""
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
        """Which draw of the request this is."""
        return self.planned_draw + redraws_apart * self.redraws


@dataclass(frozen=True)
class Rejection:
    """An answer that was not taken."""

    attempt: Attempt
    ask: Ask
    by: str
    """The grader that rejected it; 'teacher' when it was no usable answer."""
    reason: str


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `rejects.jsonl`."""

    sample: str
    """The id of the sample in whose place the answer was asked for."""
    attempt: int
    """Which answer for that sample, from 0."""
    by: str
    reason: str
    variables: dict[str, Value]
    """The matrix cell and the slot values."""
    prompt: str
    request: str
    """The digest of the request that was answered; one with repairs has its own."""
    draw: int
    body: str
    """The answer as it came."""
    tokens: int = 0
    price_usd: float | None = 0.0


def turns_known(
    teacher: Teacher,
    ask_for: Callable[[Attempt], Ask],
    answers: AnswerMemory,
    attempt: Attempt,
    stored: StoredAnswer | None,
) -> Iterator[tuple[Attempt, StoredAnswer | None]]:
    """Every turn of a sample, with its answer where that is remembered and those before it are.

    For what is only estimated: a turn after an unknown answer is put to an answer of the usual length.
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
    """A teacher, as the client asks it."""

    def __init__(self, teacher: Teacher) -> None:
        self.teacher = teacher
        self._written = expected_output_tokens

    async def reply(self, question: Attempt) -> Reply:
        """The teacher's reply; its length teaches what to expect."""
        reply = await self.teacher.reply(question.request, question.draw)
        self._written += (reply.tokens.written - self._written) * learning_share
        return reply

    def at_most(self, question: Attempt) -> Cost:
        """The teacher's own worst case."""
        return self.teacher.at_most(question.request)

    def expected_tokens(self, question: Attempt) -> float:
        """By the length of the question and of the answers so far."""
        return question.request.characters / characters_per_token + self._written


@dataclass(frozen=True)
class StepGrader:
    """A grader and the name it goes by in this step."""

    name: str
    grader: Grader


@dataclass
class SamplePlaces(Reception[Attempt]):
    """Every sample's place: whether its answer is taken, and what was tried for it."""

    teacher: Teacher
    judges: Sequence[StepGrader]
    rules: RejectRules
    answers: AnswerMemory
    gauge: Gauge
    ask_for: Callable[[Attempt], Ask]
    """The name under which an attempt is remembered."""
    rejections: dict[int, list[Rejection]] = field(default_factory=dict)
    """By place; only of samples that had any."""
    taken: dict[int, Ask] = field(default_factory=dict)
    """By place; only of samples that were not taken at once."""
    lost: dict[int, str] = field(default_factory=dict)
    """By place: why there will be no answer."""
    conversations: dict[int, Attempt] = field(default_factory=dict)
    """By place: the last attempt; only of samples with several turns."""
    turned_down: set[int] = field(default_factory=set)
    """Places whose every attempt was rejected."""
    _refilled: dict[int, int] = field(default_factory=dict)
    _taken_count: int = 0

    async def landed(self, job: Job[Attempt], answer: StoredAnswer) -> Job[Attempt] | None:
        """The answer is taken, or the next attempt is returned."""
        attempt = job.question
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
        """The next attempt, with its answer if that is remembered."""
        ask = self.ask_for(follow)
        known = self.answers.get(ask)
        self.gauge.reused += known is not None
        return Job(ask, follow, known)

    async def given_up(self, job: Job[Attempt], failure: Failure) -> Job[Attempt] | None:
        """The place is refilled by asking once more, a limited number of times."""
        index = job.question.index
        self._refilled[index] = self._refilled.get(index, 0) + 1
        if failure.kind is not FailureKind.UNFIT and self._refilled[index] <= refills:
            return job
        self.lost[index] = str(failure)
        self.gauge.settled()
        if len(self.lost) > max(fewest_losses, largest_lost_share * self.gauge.total):
            raise StepFailed(self._shortfall(len(self.lost)))
        return None

    def take(self, attempt: Attempt, ask: Ask) -> None:
        """The sample's place is filled."""
        if attempt.index in self.rejections or attempt.said:
            self.taken[attempt.index] = ask
        if attempt.said:
            self.conversations[attempt.index] = attempt
        self._taken_count += 1
        self.gauge.settled()

    def unusable(self, attempt: Attempt, answer: StoredAnswer) -> tuple[str, str] | None:
        """Who says that the body holds no usable answer, and why; None when it does."""
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
        """The texts of lower draws of the same request, and of this place's own earlier attempts."""
        if not self.teacher.repeats_itself or not attempt.draw:
            return frozenset()
        base = replace(attempt, redraws=0)
        asks = [self.ask_for(replace(base, planned_draw=draw)) for draw in range(attempt.planned_draw)]
        asks += [self.ask_for(replace(base, redraws=number)) for number in range(attempt.redraws)]
        found = self.answers.find(asks)
        return frozenset(self.teacher.parse(each.body, attempt.request).text for each in found)

    def _next(self, attempt: Attempt, answer: StoredAnswer, by: str, reason: str) -> Attempt | None:
        """What is tried in the place of a rejected attempt; None when nothing more is."""
        rules, request = self.rules, attempt.request
        if by != "teacher" and rules.on_reject == "drop":
            return None
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
        """Raises StepFailed when more samples are missing than the rules allow."""
        total = self.gauge.total
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
    """The answers that a samples file holds, to rebuild a lost memory from."""
    for line in samples:
        sample = msgspec.json.decode(line, type=LinkedSample)
        yield _stored(sample, sample.answer)
        for each in sample.follow_ups or ():
            yield _stored(each, each.answer)
        if sample.derivation:
            yield _stored(sample.derivation, sample.derivation.answer)


def _stored(paid: Sample | SampledFollowUp | Derivation, text: str) -> StoredAnswer:
    """An answer that one line of a samples file holds."""
    answer = {"text": text, "usage": msgspec.to_builtins(paid.usage), "price_usd": paid.price_usd}
    return StoredAnswer(
        ask=Ask(paid.request, paid.draw),
        body=msgspec.json.encode(answer),
        tokens=paid.usage.input_tokens + paid.usage.output_tokens,
        price_usd=paid.price_usd,
    )


def rejects_in(rejects: Iterable[bytes]) -> Iterator[StoredAnswer]:
    """The answers that a rejects file holds."""
    for line in rejects:
        reject = msgspec.json.decode(line, type=Rejected)
        yield StoredAnswer(
            ask=Ask(reject.request, reject.draw),
            body=reject.body.encode(),
            tokens=reject.tokens,
            price_usd=reject.price_usd,
        )
