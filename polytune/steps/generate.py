"""generate: prompts from a library over a matrix, answered by a teacher; every answer is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Annotated, ClassVar, cast

import msgspec
from pydantic import Field

from polytune.data.samples import Sample, SampleTeacher, SampleUsage
from polytune.engine.answers import AnswerMemory, Ask, StoredAnswer
from polytune.engine.artifacts import Artifact
from polytune.engine.ledger import Usage
from polytune.engine.step import Estimate, KeyFacts, Outcome, Progress, Scope, Step, Work
from polytune.errors import BudgetExceeded, PolytuneError
from polytune.files import digest_of, published
from polytune.fingerprint import Json
from polytune.prompts.library import Library, load_library
from polytune.prompts.plan import PlannedSample, plan
from polytune.spec.model import Inherited, InputFile, Items, Member, MemberSpec, Spec
from polytune.spec.resolved import secret_references, spec_json
from polytune.teachers.interface import TEACHERS, Answer, Request, Teacher, TeacherSpec, request_digest

assumed_output_tokens = (150, 600)
"""Range for estimates before any answer of this teacher is known: the original toolkit assumed 500."""
chars_per_token = 4.0
"""For estimates of English text and code before a tokenizer has seen it."""


class GenerateSpec(Spec):
    """Asks a teacher for `count` samples spread evenly over the matrix."""

    prompts: InputFile
    """The prompt library: a YAML file with a system prompt, guides, templates and slots."""
    teacher: Annotated[MemberSpec, Member("teachers")]
    """Who answers."""
    count: Annotated[int, Field(ge=1, le=1_000_000)]
    """How many samples. A larger number keeps the samples of the smaller one."""
    matrix: dict[str, Annotated[Items[str | int | float], Field(min_length=1)]] = {}
    """Axes and their values: every combination is a cell, and every prefix covers the cells evenly."""
    seed: Annotated[int, Inherited()] = 0
    """Chooses the order of cells, templates and slot values."""


smallest_price_usd = 1e-6
"""What an answer of a teacher that is not free costs at least, for a budget that is exactly used up."""


@dataclass(frozen=True)
class Question:
    """One sample of the plan, rendered."""

    planned: PlannedSample
    request: Request
    ask: Ask


class Generate(Step):
    """Samples from a teacher: `samples.jsonl`, one record a sample, in plan order."""

    version = 1
    Spec = GenerateSpec
    consumes: ClassVar = {}
    produces = "Samples"

    def __init__(self, spec: GenerateSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.spec = spec
        self.teacher = _teacher(spec, files, scope)

    @cached_property
    def _identity(self) -> Json:
        return _identity(self.spec.teacher, self.files)

    def key_facts(self) -> KeyFacts:
        """Nothing beyond spec and files. Raises SpecError when the prompt library cannot serve the matrix."""
        self._library()
        return KeyFacts(watched=(self.files["prompts"],))

    def missing(self) -> str:
        """What the teacher lacks on this machine."""
        return self.teacher.missing()

    def estimate(self, inputs: Mapping[str, Artifact], answers: AnswerMemory) -> Estimate:
        """Answers to pay and to reuse, and their price range."""
        questions = list(self.questions())
        known = {stored.ask for stored in answers.find(question.ask for question in questions)}
        asked = [question for question in questions if question.ask not in known]
        read = sum(len(q.request.system) + len(q.request.prompt) for q in asked) / chars_per_token
        low, high = (len(asked) * tokens for tokens in assumed_output_tokens)
        return Estimate(
            requests=len(asked),
            reused=len(questions) - len(asked),
            tokens=round(read + (low + high) / 2),
            usd_low=self._usd(read, low),
            usd_high=self._usd(read, high),
            note=self._note() if asked else "",
        )

    def _usd(self, read: float, written: float) -> float | None:
        price = self.teacher.price()
        if price.input_usd_per_million_tokens is None or price.output_usd_per_million_tokens is None:
            return None
        paid = read * price.input_usd_per_million_tokens + written * price.output_usd_per_million_tokens
        return round(paid / 1e6, 4)

    def _note(self) -> str:
        price = self.teacher.price()
        unknown = price.input_usd_per_million_tokens is None
        return f"price unknown: {price.source}" if unknown else self.teacher.label

    def questions(self) -> Iterator[Question]:
        """The whole plan, rendered, in order; made anew at each call, so that memory stays flat."""
        library = self._library()
        for planned in islice(plan(self.spec.matrix, library, self.spec.seed), self.spec.count):
            rendered = library.render(planned.cell, planned.template_index, planned.slots)
            request = Request(
                system=rendered.system,
                prompt=rendered.prompt,
                variables={**planned.cell, **planned.slots},
            )
            yield Question(planned, request, Ask(request_digest(self._identity, request), planned.draw))

    def _library(self) -> Library:
        path = self.files["prompts"]
        shown = path.relative_to(self.scope.root) if path.is_relative_to(self.scope.root) else path
        return load_library(path, self.spec.matrix, shown=str(shown))

    async def run(self, work: Work) -> Outcome:
        """Asks what memory does not hold, then writes every sample from memory."""
        reused = await asyncio.to_thread(self._count_known, work.answers)
        usage = await self._ask_missing(work, reused)
        rows = await asyncio.to_thread(self._write, work.answers, work.folder / "samples.jsonl")
        return Outcome(
            files=("samples.jsonl",),
            records={"samples.jsonl": rows},
            facts={"teacher": self.teacher.label, "short_system": self._library().short_system},
            metrics={"samples": rows},
            usage=usage,
        )

    def _count_known(self, answers: AnswerMemory) -> int:
        return sum(1 for _ in answers.find(question.ask for question in self.questions()))

    async def _ask_missing(self, work: Work, reused: int) -> Usage:
        tally = _Tally(total=self.spec.count, reused=reused, free=self._usd(1e6, 1e6) == 0, work=work)
        if reused < self.spec.count:
            await self._work_off(self._missing(work.answers), work.answers, tally)
        if tally.failure is not None:
            raise tally.failure
        return tally.usage()

    async def _work_off(self, missing: Iterator[Question], answers: AnswerMemory, tally: _Tally) -> None:
        async with self.teacher, asyncio.TaskGroup() as workers:
            for _ in range(self.scope.settings.concurrency):
                workers.create_task(self._work_through(missing, answers, tally))

    def _missing(self, answers: AnswerMemory) -> Iterator[Question]:
        questions = self.questions()
        while chunk := list(islice(questions, 256)):
            known = {stored.ask for stored in answers.find(q.ask for q in chunk)}
            yield from (question for question in chunk if question.ask not in known)

    async def _work_through(
        self, questions: Iterator[Question], answers: AnswerMemory, tally: _Tally
    ) -> None:
        """Asks one question after the other; after a failure, every worker finishes the one it has asked."""
        try:
            while tally.failure is None and (question := next(questions, None)):
                tally.reserve()
                tally.add(await self._answered(question, answers))
        except PolytuneError as error:
            tally.failure = error

    async def _answered(self, question: Question, answers: AnswerMemory) -> Answer:
        answer = await self.teacher.answer(question.request, question.ask.draw)
        stored = StoredAnswer(
            ask=question.ask,
            body=msgspec.json.encode(answer),
            price_usd=answer.price_usd,
            tokens=answer.usage.input_tokens + answer.usage.output_tokens,
        )
        await answers.put(stored)
        return answer

    def _write(self, answers: AnswerMemory, path: Path) -> int:
        with published(path) as file:
            for sample in self._samples(answers):
                file.write(msgspec.json.encode(sample) + b"\n")
        return self.spec.count

    def _samples(self, answers: AnswerMemory) -> Iterator[Sample]:
        questions = self.questions()
        while chunk := list(islice(questions, 256)):
            stored = {found.ask: found for found in answers.find(question.ask for question in chunk)}
            yield from (self._sample(question, stored[question.ask]) for question in chunk)

    @classmethod
    def remembered(cls, files: Mapping[str, Path]) -> Iterator[StoredAnswer]:
        """The answer behind each sample, as it was stored when it arrived."""
        with files["samples.jsonl"].open("rb") as file:
            yield from answers_in(file)

    def _sample(self, question: Question, stored: StoredAnswer) -> Sample:
        answer = msgspec.json.decode(stored.body, type=Answer)
        return Sample(
            id=f"{question.ask.request[:16]}-{question.ask.draw}",
            cell=question.planned.cell,
            template=question.planned.template,
            slots=question.planned.slots,
            system=question.request.system,
            prompt=question.request.prompt,
            teacher=SampleTeacher(kind=self.spec.teacher.kind, label=self.teacher.label),
            request=question.ask.request,
            draw=question.ask.draw,
            answer=answer.text,
            usage=SampleUsage(
                input_tokens=answer.usage.input_tokens,
                output_tokens=answer.usage.output_tokens,
                estimated=answer.usage.estimated,
            ),
            price_usd=answer.price_usd,
        )


class _Tally:
    """Counts what a run asks, stops it at the budget, and reports."""

    def __init__(self, *, total: int, reused: int, free: bool, work: Work) -> None:
        self.least_usd = 0.0 if free else smallest_price_usd
        self.total = total
        self.reused = reused
        self.work = work
        self.started = 0
        self.failure: PolytuneError | None = None
        self.requests = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.usd = 0.0
        self.priced = True

    def reserve(self) -> None:
        """One more request may be sent. Raises BudgetExceeded when a limit is reached."""
        tokens = self.input_tokens + self.output_tokens
        for used, least, limit, unit in (
            (self.usd, self.least_usd, self.work.budget.usd, "US dollars"),
            (self.started, 1, self.work.budget.requests, "requests"),
            (tokens, 1, self.work.budget.tokens, "tokens"),
        ):
            if limit is not None and used + least > limit:
                raise BudgetExceeded(
                    f"the budget allows {limit:,g} more {unit} and they are used; what was answered is"
                    " safe. Raise the budget and run again: nothing is asked twice"
                )
        self.started += 1

    def add(self, answer: Answer) -> None:
        """One more durable answer."""
        self.requests += 1
        self.input_tokens += answer.usage.input_tokens
        self.output_tokens += answer.usage.output_tokens
        self.usd += answer.price_usd or 0.0
        self.priced = self.priced and answer.price_usd is not None
        note = f"{self.reused:,} reused" if self.reused else ""
        self.work.report(
            Progress(
                done=self.reused + self.requests, total=self.total, unit="answers", note=note, usd=self.usd
            )
        )

    def usage(self) -> Usage:
        """The sum."""
        return Usage(
            requests=self.requests,
            reused=self.reused,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            usd=self.usd if self.priced else None,
        )


def _teacher(spec: GenerateSpec, files: Mapping[str, Path], scope: Scope) -> Teacher:
    assert isinstance(spec.teacher, TeacherSpec)
    own = {name.removeprefix("teacher."): path for name, path in files.items() if name.startswith("teacher.")}
    return TEACHERS.load(spec.teacher.kind)(spec.teacher, own, scope.settings)


def _identity(teacher: MemberSpec, files: Mapping[str, Path]) -> Json:
    """Everything of the teacher's spec that may change an answer; files by content, secrets not at all."""
    stated: dict[str, Json] = dict(cast("dict[str, Json]", spec_json(teacher)))
    for name, path in files.items():
        if name.startswith("teacher."):
            stated[name.removeprefix("teacher.")] = digest_of(path) if path.is_file() else ""
    return {name: value for name, value in stated.items() if name not in secret_references(teacher)}


def answers_in(samples: Iterable[bytes]) -> Iterator[StoredAnswer]:
    """The answers that a samples file holds, to rebuild a lost memory from."""
    for line in samples:
        sample = msgspec.json.decode(line, type=Sample)
        answer = {
            "text": sample.answer,
            "usage": msgspec.to_builtins(sample.usage),
            "price_usd": sample.price_usd,
        }
        yield StoredAnswer(
            ask=Ask(sample.request, sample.draw),
            body=msgspec.json.encode(answer),
            tokens=sample.usage.input_tokens + sample.usage.output_tokens,
            price_usd=sample.price_usd,
        )
