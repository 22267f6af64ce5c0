"""augment: derives prompts from samples with a teacher: paraphrased, or evolved and answered anew.

samples --derive--> prompts --answer--> samples and their children, each child after its parent
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count, islice
from pathlib import Path
from typing import Annotated, ClassVar, cast

import msgspec
from pydantic import Field

from polytune.asking.client import Client, Job
from polytune.asking.endpoint import endpoint_called
from polytune.asking.gauge import Gauge
from polytune.asking.retries import retry_limits
from polytune.data.lines import blocks
from polytune.data.samples import Derivation, Sample, SampleTeacher, SampleUsage, encode_sample
from polytune.engine.answers import AnswerMemory, Ask, StoredAnswer
from polytune.engine.artifacts import Artifact
from polytune.engine.ledger import Usage
from polytune.engine.step import Estimate, Outcome, Port, Requirement, Scope, Step, Work
from polytune.errors import Obstacle
from polytune.files import published
from polytune.graders.interface import Case, Grader, GraderSpec, Identity, Verdict
from polytune.prompts.derivation import Derivations, DerivedPrompt, derived, fault
from polytune.settings import Settings
from polytune.spec.model import FieldProblem, Items, Member, MemberSpec, Spec
from polytune.steps._teachers import (
    AnswerIdentities,
    Draws,
    estimate_of,
    no_stand_in,
    teacher_of,
    teacher_requirements,
)
from polytune.steps._verifying import (
    Attempt,
    RejectRules,
    SamplePlaces,
    StepGrader,
    TeacherRespondent,
    answers_in,
)
from polytune.teachers.interface import Answer, Request

samples_name = "samples.jsonl"
looked_up_together = 16
usual_growth = 1.5
"""Expected length of an evolved prompt relative to its parent, for estimates."""


class AugmentSpec(Spec):
    """Lets a teacher derive more samples from the existing ones."""

    teacher: Annotated[MemberSpec, Member("teachers")]
    """The teacher that derives prompts and answers the evolved ones."""
    paraphrase: Annotated[int, Field(ge=0, le=20)] = 0
    """Number of paraphrases of each sample's prompt; they keep its answer."""
    evolve: Annotated[int, Field(ge=0, le=20)] = 0
    """Number of harder versions of each sample's prompt; they get a new answer."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of samples to derive prompts from."""
    instructions: Items[Annotated[str, Field(min_length=1)]] = ()
    """Instructions to the teacher for evolving a prompt, used in turn; the default is polytune's own."""
    max_redraws: Annotated[int, Field(ge=0, le=20)] = 3
    """Maximum number of further answers in place of one that is unusable or not a new prompt."""
    shortfall: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of derived prompts, and of answers to them, that may be missing; if more are, the step fails."""

    def problems(self) -> list[FieldProblem]:
        """Report a spec that derives nothing."""
        if self.paraphrase or self.evolve:
            return []
        return [
            FieldProblem(
                "", "set `paraphrase` or `evolve` to the number of prompts to derive from each sample"
            )
        ]


class NewPrompt(Grader):
    """Passes an answer that is a prompt and differs from its parent."""

    @classmethod
    def identity(cls, spec: GraderSpec, folder: Path, settings: Settings) -> Identity:
        """Return a constant identity: nothing outside affects the verdict."""
        return Identity(name="augment")

    async def judge(self, case: Case) -> Verdict:
        """Fail an answer that is not a derived prompt."""
        reason = fault(case.prompt, case.answer)
        return Verdict(passed=not reason, score=float(not reason), reason=reason)


@dataclass(frozen=True)
class Derivative:
    """One prompt to derive, and its parent sample."""

    parent: Sample
    child: DerivedPrompt
    attempt: Attempt
    ask: Ask

    @property
    def index(self) -> int:
        """Its position among all of them."""
        return self.attempt.index

    @property
    def answered(self) -> bool:
        """Whether the derived prompt needs an answer of its own."""
        return self.child.how == "evolve" and bool(self.parent.answer)


class Augment(Step):
    """Samples with their children: the input file, with each sample followed by those derived from it."""

    version = 1
    Spec = AugmentSpec
    spec: AugmentSpec
    consumes: ClassVar = {"samples": Port(("Samples",))}
    produces = "Samples"

    def __init__(self, spec: AugmentSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.teacher = teacher_of(spec.teacher, files, scope)
        self.ways = Derivations(spec.paraphrase, spec.evolve, spec.share, spec.instructions)
        self.rules = RejectRules("redraw", spec.max_redraws, 0, spec.shortfall)

    @cached_property
    def _identities(self) -> AnswerIdentities:
        return AnswerIdentities(self.teacher, self.spec.teacher, self.files, self.scope)

    def missing(self) -> Obstacle | None:
        """Return what the teacher is missing on this machine; in a rehearsal, an emulator."""
        if self.scope.settings.rehearsal and not self.teacher.rehearses:
            return no_stand_in(self.spec.teacher.kind)
        return self.teacher.missing()

    def _ask(self, attempt: Attempt) -> Ask:
        return self._identities.ask(attempt.request, attempt.draw)

    # what is derived

    def derivatives(self, samples: Path) -> Iterator[Derivative]:
        """Yield every prompt to derive, in order; generated anew each time, so memory use is constant."""
        numbers, draws = count(), Draws(self._identities)
        for parent in _samples(samples):
            for child in self._children(parent):
                request = Request(system=child.system, prompt=parent.prompt, variables={})
                ask = draws.next(request)
                attempt = Attempt(next(numbers), f"{ask.request[:16]}-{ask.draw}", request, ask.draw)
                yield Derivative(parent, child, attempt, ask)

    def _children(self, parent: Sample) -> Iterator[DerivedPrompt]:
        """Yield the prompts to derive from a sample; none for a conversation."""
        # A later turn refers to the answers before it, which would not fit a derived prompt.
        return iter(()) if parent.follow_ups else self.ways.children(parent.id)

    def _answering(self, derivative: Derivative, text: str, draws: Draws) -> tuple[Attempt, Ask]:
        """Return the first attempt at an answer to an evolved prompt."""
        variables = cast(
            "dict[str, str | int | float]", {**derivative.parent.cell, **derivative.parent.slots}
        )
        request = Request(system=derivative.parent.system, prompt=derived(text), variables=variables)
        ask = draws.next(request)
        return Attempt(derivative.index, derivative.attempt.id, request, ask.draw), ask

    def estimate(self, inputs: Mapping[str, Artifact], answers: AnswerMemory) -> Estimate:
        """Estimate the prompts and answers to pay for and to reuse, once the samples exist."""
        path = self._known_samples(inputs)
        if path is None:
            return Estimate(note="the samples do not exist yet")
        asked, reused, characters = 0, 0, 0
        draws = Draws(self._identities)
        for derivative, stored in self._looked_up(path, answers):
            answer = None
            if stored is not None and derivative.answered:
                answer = answers.get(
                    self._answering(derivative, self._text(stored, derivative.attempt), draws)[1]
                )
            known = (stored is not None) + (answer is not None)
            wanted = 1 + derivative.answered
            reused += known
            asked += wanted - known
            characters += derivative.attempt.request.characters if stored is None else 0
            if derivative.answered and answer is None:
                characters += len(derivative.parent.system) + round(
                    usual_growth * len(derivative.parent.prompt)
                )
        return estimate_of(self.teacher, asked=asked, reused=reused, characters=characters)

    def _known_samples(self, inputs: Mapping[str, Artifact]) -> Path | None:
        if "samples" not in inputs:
            return None
        path = self.scope.root / inputs["samples"].files[samples_name].path
        return path if path.is_file() else None

    def _looked_up(
        self, samples: Path, answers: AnswerMemory
    ) -> Iterator[tuple[Derivative, StoredAnswer | None]]:
        derivatives = self.derivatives(samples)
        while chunk := list(islice(derivatives, looked_up_together)):
            known = {stored.ask: stored for stored in answers.find(derivative.ask for derivative in chunk)}
            yield from ((derivative, known.get(derivative.ask)) for derivative in chunk)

    def _text(self, stored: StoredAnswer, attempt: Attempt) -> str:
        return self.teacher.parse(stored.body, attempt.request).text

    # asking

    def requirements(self) -> Sequence[Requirement]:
        """Return what the teacher needs."""
        return teacher_requirements(self.teacher)

    async def run(self, work: Work) -> Outcome:
        """Derive every prompt, answer the evolved ones, and write parents and children."""
        samples = work.path("samples", samples_name)
        # Counted in passes of their own, so that the progress bar knows its total and
        # memory use stays constant.
        derivatives = sum(1 for _ in self.derivatives(samples))
        answered = sum(derivative.answered for derivative in self.derivatives(samples))
        deriving, answering = Gauge(derivatives, work.report), Gauge(answered, work.report)
        judge = StepGrader(
            "augment", NewPrompt(GraderSpec(kind="augment"), self.scope.folder, self.scope.settings)
        )
        prompts = self._places(work, [judge], deriving)
        replies = self._places(work, [], answering)
        async with self.teacher:
            await self._ask_all(work, self._deriving(samples, prompts), prompts)
            if answered:
                await self._ask_all(work, self._replying(samples, prompts, replies), replies)
        rows = await asyncio.to_thread(self._write, work, samples, (prompts, replies))
        return Outcome(
            files=(samples_name,),
            records={samples_name: rows},
            facts=dict(work.inputs["samples"].facts),
            metrics={
                "samples": rows,
                "parents": rows - self._children_written(prompts, replies, derivatives),
            },
            usage=_sum(deriving.usage(), answering.usage()),
        )

    def _places(self, work: Work, judges: list[StepGrader], gauge: Gauge) -> SamplePlaces:
        return SamplePlaces(self.teacher, judges, self.rules, work.answers, gauge, self._ask)

    def _children_written(self, prompts: SamplePlaces, replies: SamplePlaces, derivatives: int) -> int:
        return derivatives - len(_gone(prompts) | _gone(replies))

    async def _ask_all(self, work: Work, jobs: Iterator[Job[Attempt]], places: SamplePlaces) -> None:
        settings = self.scope.settings
        client = Client(
            TeacherRespondent(self.teacher),
            endpoint_called(self.teacher.endpoint(), settings.concurrency, settings.environment),
            work.answers,
            work.budget,
            places.gauge,
            retry_limits(settings.environment),
        )
        await client.ask_all(jobs, places)
        if places.gauge.total:
            places.check_complete()

    def _deriving(self, samples: Path, places: SamplePlaces) -> Iterator[Job[Attempt]]:
        for derivative, stored in self._looked_up(samples, places.answers):
            places.gauge.reused += stored is not None
            yield Job(derivative.ask, derivative.attempt, stored)

    def _replying(self, samples: Path, prompts: SamplePlaces, places: SamplePlaces) -> Iterator[Job[Attempt]]:
        draws = Draws(self._identities)
        gone = _gone(prompts)
        for derivative in self.derivatives(samples):
            if derivative.answered and derivative.index not in gone:
                attempt, ask = self._answering(derivative, self._derived(derivative, prompts), draws)
                stored = places.answers.get(ask)
                places.gauge.reused += stored is not None
                yield Job(ask, attempt, stored)
            # A prompt that was never derived has no answer to wait for; the gauge must
            # still reach its total.
            elif derivative.answered:
                places.gauge.settled()

    def _derived(self, derivative: Derivative, prompts: SamplePlaces) -> str:
        """Return the teacher's whole answer, which contains the derived prompt."""
        stored = prompts.answers.get(prompts.taken.get(derivative.index, derivative.ask))
        assert stored is not None, "every prompt that is neither lost nor turned down was derived"
        return self._text(stored, derivative.attempt)

    # writing

    def _write(self, work: Work, samples: Path, asked: tuple[SamplePlaces, SamplePlaces]) -> int:
        rows = 0
        with published(work.folder / samples_name) as file:
            for sample in self._written(samples, asked):
                file.write(encode_sample(sample) + b"\n")
                rows += 1
        return rows

    def _written(self, samples: Path, asked: tuple[SamplePlaces, SamplePlaces]) -> Iterator[Sample]:
        """Yield every sample, followed by its children."""
        derivatives, draws = self.derivatives(samples), Draws(self._identities)
        unasked, unanswered = map(_gone, asked)
        for parent in _samples(samples):
            children = list(islice(derivatives, sum(1 for _ in self._children(parent))))
            # `format` keeps samples of one seed in one split: parent and child must not be
            # in train and test.
            seed = parent.seed or parent.id
            yield msgspec.structs.replace(parent, seed=seed) if children else parent
            for derivative in children:
                if derivative.index not in unasked:
                    child = self._child(derivative, seed, asked, draws)
                    if derivative.index not in unanswered:
                        yield child

    def _child(
        self, derivative: Derivative, seed: str, asked: tuple[SamplePlaces, SamplePlaces], draws: Draws
    ) -> Sample:
        """Return the child; with its parent's answer as long as its own is missing."""
        prompts, replies = asked
        said = prompts.answers.get(prompts.taken.get(derivative.index, derivative.ask))
        assert said is not None, "every prompt that is neither lost nor turned down was derived"
        told = self.teacher.parse(said.body, derivative.attempt.request)
        child = msgspec.structs.replace(
            derivative.parent,
            id=derivative.attempt.id,
            prompt=derived(told.text),
            price_usd=0.0,
            seed=seed,
            parent=derivative.parent.id,
            derivation=Derivation(
                how=derivative.child.how,
                request=said.ask.request,
                draw=said.ask.draw,
                answer=told.text,
                usage=_usage(told),
                price_usd=said.price_usd,
            ),
        )
        if not derivative.answered:
            return child
        attempt, ask = self._answering(derivative, told.text, draws)
        reply = replies.answers.get(replies.taken.get(derivative.index, ask))
        if reply is None:
            return child
        answer = self.teacher.parse(reply.body, attempt.request)
        return msgspec.structs.replace(
            child,
            price_usd=reply.price_usd,
            teacher=SampleTeacher(kind=self.spec.teacher.kind, label=self.teacher.label),
            request=reply.ask.request,
            draw=reply.ask.draw,
            answer=answer.text,
            usage=_usage(answer),
        )

    @classmethod
    def remembered(cls, files: Mapping[str, Path]) -> Iterator[StoredAnswer]:
        """Yield the answers behind each sample and each derived prompt."""
        with files[samples_name].open("rb") as file:
            yield from answers_in(file)


def _samples(path: Path) -> Iterator[Sample]:
    decoder = msgspec.json.Decoder(Sample)
    for block in blocks(path):
        yield from map(decoder.decode, block.lines)


def _gone(places: SamplePlaces) -> set[int]:
    """Return the places that stay empty."""
    return places.lost.keys() | places.turned_down


def _usage(answer: Answer) -> SampleUsage:
    usage = answer.usage
    return SampleUsage(
        input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, estimated=usage.estimated
    )


def _sum(one: Usage, other: Usage) -> Usage:
    usd = None if one.usd is None or other.usd is None else one.usd + other.usd
    return Usage(
        requests=one.requests + other.requests,
        reused=one.reused + other.reused,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        usd=usd,
    )
