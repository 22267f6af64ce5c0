"""generate: lets a teacher answer prompts from a library over a matrix; every answer is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from polytune.asking.client import Client, Job
from polytune.asking.endpoint import endpoint_called
from polytune.asking.gauge import Gauge
from polytune.asking.retries import retry_limits
from polytune.data.samples import (
    Sample,
    SampledFollowUp,
    SampleTeacher,
    SampleUsage,
    encode_sample,
)
from polytune.engine.answers import AnswerMemory, StoredAnswer
from polytune.engine.artifacts import Artifact
from polytune.engine.step import Estimate, KeyFacts, Outcome, Requirement, Scope, Step, Work
from polytune.errors import Obstacle
from polytune.files import digest_of, published
from polytune.prompts.coverage import Coverage, coverage
from polytune.steps._batching import rounds_of
from polytune.steps._judging import judge_facts, judging, missing_for, named_graders, notes_of, warnings_of
from polytune.steps._questions import (
    GenerateSpec,
    PlannedQuestion,
    Questions,
    SamplingPlan,
)
from polytune.steps._teachers import (
    AnswerIdentities,
    estimate_of,
    no_stand_in,
    teacher_of,
    teacher_requirements,
    usd_for,
)
from polytune.steps._verifying import (
    Attempt,
    Rejected,
    RejectRules,
    SamplePlaces,
    StepGrader,
    TeacherRespondent,
    answers_in,
    rejects_in,
    turns_known,
)
from polytune.teachers.interface import (
    BatchTeacher,
    TokenUsage,
)


class _Incomplete(Exception):
    """An answer is missing."""


@dataclass(frozen=True)
class Known:
    """How much of a plan is stored, and the maximum cost of the rest."""

    usable: int = 0
    pays: int = 0
    usd: float | None = 0.0


class Generate(Step):
    """Samples from a teacher: `samples.jsonl`, one record per sample in plan order, and `rejects.jsonl`, the
    answers that were not accepted."""

    version = 1
    Spec = GenerateSpec
    spec: GenerateSpec
    consumes: ClassVar = {}
    produces = "Samples"

    def __init__(self, spec: GenerateSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.teacher = teacher_of(spec.teacher, files, scope)
        self.graders = named_graders(spec.graders if isinstance(spec, GenerateSpec) else (), scope)
        self.rules = _rules(spec)

    @cached_property
    def questions(self) -> Questions:
        """The rendered plan."""
        identities = AnswerIdentities(self.teacher, self.spec.teacher, self.files, self.scope)
        seeds = self.files.get("seeds.path")
        wanted = SamplingPlan(self.spec.planned_matrix(), self.spec.seed, self.spec.count, seeds)
        return Questions(wanted, self.files["prompts"], self.scope.root, identities)

    def key_facts(self) -> KeyFacts:
        """Return the graders and their versions. Raises SpecError if the library does not fit the matrix."""
        library = self.questions.library()
        # Files that the prompt file names are not in the spec, so they enter the key here.
        watched = [self.files["prompts"], *library.files]
        own = {"library": [digest_of(path) for path in library.files]} if library.files else {}
        if "seeds.path" in self.files:
            watched.append(self.files["seeds.path"])
        if not self.graders:
            return KeyFacts(own, tuple(watched))
        judges = judge_facts({grader.name: grader.identity() for grader in self.graders})
        return replace(judges, facts={**own, **judges.facts}, watched=(*watched, *judges.watched))

    def missing(self) -> Obstacle | None:
        """Return what the teacher or a grader is missing on this machine; in a rehearsal, an emulator."""
        if self.scope.settings.rehearsal and not self.teacher.rehearses:
            return no_stand_in(self.spec.teacher.kind)
        if not self.teacher.holds_conversations and self.questions.library().most_turns > 1:
            kind = self.spec.teacher.kind
            cause = f"{kind} answers single questions only, and a template of the library has several turns"
            return Obstacle(cause, "Choose another teacher, or templates without follow-ups", "teacher.kind")
        return self.teacher.missing() or missing_for(self.graders)

    def estimate(self, inputs: Mapping[str, Artifact], answers: AnswerMemory) -> Estimate:
        """Estimate answers to pay for and to reuse, and their price range; redraws and repairs are extra."""
        reused, asked, characters = 0, 0, 0
        obstacle: Obstacle | None = None
        for attempt, stored in self._turns(answers):
            if stored is not None:
                reused += 1
                continue
            asked += 1
            characters += attempt.request.characters
            obstacle = obstacle or self.teacher.unanswerable(attempt.request, attempt.draw)
        estimate = estimate_of(self.teacher, asked=asked, reused=reused, characters=characters)
        return msgspec.structs.replace(estimate, obstacle=obstacle)

    def _turns(self, answers: AnswerMemory) -> Iterator[tuple[Attempt, StoredAnswer | None]]:
        """Yield every question of every sample, each with its first answer if it is stored."""
        for question, stored in self.questions.looked_up(answers):
            if not question.follow_ups:
                yield question.attempt, stored
                continue
            yield from turns_known(self.teacher, self.questions.ask, answers, question.attempt, stored)

    def planned_coverage(self) -> Coverage:
        """Return the coverage of the plan."""
        planned = self.questions.planned()
        return coverage(self.spec.planned_matrix(), (sample.cell for sample in planned))

    def requirements(self) -> Sequence[Requirement]:
        """Return what the teacher needs."""
        return teacher_requirements(self.teacher)

    async def run(self, work: Work) -> Outcome:
        """Request the answers that are not stored, then write every sample from the stored answers."""
        gauge = Gauge(self.spec.count, work.report)
        async with judging(self.graders, work.record) as opened:
            judges = [
                StepGrader(each.name, grader) for each, grader in zip(self.graders, opened, strict=True)
            ]
            places = SamplePlaces(self.teacher, judges, self.rules, work.answers, gauge, self.questions.ask)
            rows = await self._filled(work, places)
        covered = await asyncio.to_thread(self._covered, places)
        records = {"samples.jsonl": rows}
        if self.graders or places.rejections:
            path = work.folder / "rejects.jsonl"
            records["rejects.jsonl"] = await asyncio.to_thread(
                self._write_rejects, work.answers, places, path
            )
        rejected = {"rejected": records["rejects.jsonl"]} if "rejects.jsonl" in records else {}
        return Outcome(
            files=tuple(records),
            records=records,
            facts={"teacher": self.teacher.label, "short_system": self.questions.library().short_system},
            metrics={"samples": rows, **rejected, **covered},
            usage=gauge.usage(),
            warnings=warnings_of(judge.grader for judge in judges),
            notes=notes_of(judge.grader for judge in judges),
        )

    def _covered(self, places: SamplePlaces) -> dict[str, Any]:
        """Return the coverage table, unless the matrix is plain and every cell got its share."""
        matrix = self.spec.planned_matrix()
        missing = places.lost.keys() | places.turned_down
        if not matrix.axes or not (missing or matrix.uneven):
            return {}
        got = (sample.cell for sample in self.questions.planned() if sample.index not in missing)
        return {"coverage": coverage(matrix, got, self.spec.count).facts()}

    # asking

    async def _filled(self, work: Work, places: SamplePlaces) -> int:
        """Fill every place and write the samples; return their number. Raises StepFailed if too many fail."""
        path = work.folder / "samples.jsonl"
        # The common case of a later run: everything is stored, and no teacher needs to be opened.
        if not self.graders and self.questions.library().most_turns == 1:
            rows = await asyncio.to_thread(self._written_from_memory, work.answers, places, path)
            if rows is not None:
                return rows
        await self._fill(work, places)
        places.check_complete()
        return await asyncio.to_thread(self._write, work.answers, places, path)

    async def _fill(self, work: Work, places: SamplePlaces) -> None:
        """Fill every place, or note why it stays empty."""
        known = await asyncio.to_thread(self._known, work.answers, places)
        places.gauge.say(self._intent(known))
        async with self.teacher:
            settings = self.scope.settings
            client = Client(
                TeacherRespondent(self.teacher),
                endpoint_called(self.teacher.endpoint(), settings.concurrency, settings.environment),
                work.answers,
                work.budget,
                places.gauge,
                retry_limits(settings.environment),
            )
            jobs = self._jobs(work.answers, places)
            if isinstance(self.teacher, BatchTeacher):
                rounds = rounds_of(self.teacher, work, self.scope, places)
                jobs = await rounds.left(self.questions, lambda: self._jobs(work.answers, places))
            await client.ask_all(jobs, places)
            if self.teacher.repeats_itself:
                # Answers arrive in any order: a draw may have been accepted before the lower
                # draw that it repeats.
                await client.ask_all(self._repeated(work.answers, places), places)
        places.gauge.tell(now=True)

    def _known(self, answers: AnswerMemory, places: SamplePlaces) -> Known:
        usable, pays, usd = 0, 0, 0.0 if usd_for(self.teacher, 1, 1) is not None else None
        for attempt, stored in self._turns(answers):
            if stored is not None and places.unusable(attempt, stored) is None:
                usable += 1
                continue
            pays += 1
            if usd is not None:
                usd += self.teacher.at_most(attempt.request).usd or 0.0
        return Known(usable, pays, usd)

    def _intent(self, known: Known) -> str:
        price = "price unknown" if known.usd is None else f"at most ${known.usd:,.2f}"
        return f"reuses {known.usable:,}, pays {known.pays:,}, {price}"

    def _jobs(self, answers: AnswerMemory, places: SamplePlaces) -> Iterator[Job[Attempt]]:
        """Yield what must be requested or judged; mark places with a good answer as filled."""
        for question, stored in self.questions.looked_up(answers):
            attempt = question.attempt
            places.gauge.reused += stored is not None
            # Verdicts and later turns are not stored here, so such answers go through
            # their whole chain again.
            again = self.graders or attempt.follow_ups
            if stored is None or again or places.unusable(attempt, stored) is not None:
                yield Job(question.ask, attempt, stored)
            else:
                places.take(attempt, question.ask)

    def _repeated(self, answers: AnswerMemory, places: SamplePlaces) -> Iterator[Job[Attempt]]:
        """Yield first answers that were accepted before the lower draw that they repeat had arrived."""
        for question, stored in self.questions.looked_up(answers):
            attempt = question.attempt
            if stored is None or not attempt.draw or attempt.follow_ups or attempt.index in places.rejections:
                continue
            if places.unusable(attempt, stored) is not None:
                places.gauge.done -= 1
                yield Job(question.ask, attempt, stored)

    # writing

    def _written_from_memory(self, answers: AnswerMemory, places: SamplePlaces, path: Path) -> int | None:
        """Write all samples from stored answers; return their number, or None if one is not usable."""
        try:
            with published(path) as file:
                for question, stored in self.questions.looked_up(answers):
                    if stored is None or (
                        self.teacher.may_fail and places.unusable(question.attempt, stored) is not None
                    ):
                        # Leaving `published` by an exception discards the unfinished file.
                        raise _Incomplete
                    file.write(encode_sample(self._sample(question, stored)) + b"\n")
        except _Incomplete:
            return None
        places.gauge.reused = places.gauge.done = self.spec.count
        return self.spec.count

    def _write(self, answers: AnswerMemory, places: SamplePlaces, path: Path) -> int:
        rows = 0
        with published(path) as file:
            for sample in self._samples(answers, places):
                file.write(encode_sample(sample) + b"\n")
                rows += 1
        return rows

    def _samples(self, answers: AnswerMemory, places: SamplePlaces) -> Iterator[Sample]:
        for question, stored in self.questions.looked_up(answers):
            index = question.planned.index
            if index in places.lost or index in places.turned_down:
                continue
            if index in places.taken:
                stored = answers.get(places.taken[index])
            assert stored is not None, "every place that is neither lost nor turned down is filled"
            talk = places.conversations.get(index)
            yield self._sample(question, stored, self._said(answers, talk) if talk else ())

    def _said(self, answers: AnswerMemory, talk: Attempt) -> Iterator[SampledFollowUp]:
        """Yield the turns before the last answer of a conversation."""
        for repair, ask in zip(talk.said, talk.asks, strict=True):
            stored = answers.get(ask)
            assert stored is not None, "what was taken was stored before"
            usage = self.teacher.parse(stored.body, talk.request).usage
            yield SampledFollowUp(
                answer=repair.answer,
                prompt=repair.error,
                request=ask.request,
                draw=ask.draw,
                usage=_sample_usage(usage),
                price_usd=stored.price_usd,
            )

    def _sample(
        self, question: PlannedQuestion, stored: StoredAnswer, said: Iterable[SampledFollowUp] = ()
    ) -> Sample:
        answer = self.teacher.parse(stored.body, question.request)
        return Sample(
            id=question.id,
            cell=question.planned.cell,
            template=question.planned.template,
            slots=question.planned.slots,
            system=question.request.system,
            prompt=question.request.prompt,
            teacher=SampleTeacher(kind=self.spec.teacher.kind, label=self.teacher.label),
            request=stored.ask.request,
            draw=stored.ask.draw,
            answer=answer.text,
            usage=_sample_usage(answer.usage),
            price_usd=stored.price_usd,
            seed=question.planned.seed or msgspec.UNSET,
            follow_ups=tuple(said) or msgspec.UNSET,
        )

    def _write_rejects(self, answers: AnswerMemory, places: SamplePlaces, path: Path) -> int:
        rows = 0
        with published(path) as file:
            for reject in self._rejects(answers, places):
                file.write(msgspec.json.encode(reject) + b"\n")
                rows += 1
        return rows

    def _rejects(self, answers: AnswerMemory, places: SamplePlaces) -> Iterator[Rejected]:
        for index in sorted(places.rejections):
            for number, rejection in enumerate(places.rejections[index]):
                stored = answers.get(rejection.ask)
                assert stored is not None, "what was rejected was stored before"
                request = rejection.attempt.request
                yield Rejected(
                    sample=rejection.attempt.id,
                    attempt=number,
                    by=rejection.by,
                    reason=rejection.reason,
                    variables=request.variables,
                    prompt=request.prompt,
                    request=stored.ask.request,
                    draw=stored.ask.draw,
                    body=stored.body.decode(errors="replace"),
                    tokens=stored.tokens,
                    price_usd=stored.price_usd,
                )

    @classmethod
    def remembered(cls, files: Mapping[str, Path]) -> Iterator[StoredAnswer]:
        """Yield the answer behind each sample and each reject, as stored when it arrived."""
        with files["samples.jsonl"].open("rb") as file:
            yield from answers_in(file)
        if "rejects.jsonl" in files:
            with files["rejects.jsonl"].open("rb") as file:
                yield from rejects_in(file)


def _sample_usage(usage: TokenUsage) -> SampleUsage:
    return SampleUsage(
        input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, estimated=usage.estimated
    )


def _rules(spec: GenerateSpec) -> RejectRules:
    return RejectRules(spec.on_reject, spec.max_redraws, spec.max_repairs, spec.shortfall)
