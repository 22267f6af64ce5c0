"""evaluate: base and custom model answer the test split; the same graders judge both and a trivial rival."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
from pydantic import Field

from polytune.asking.gauge import Gauge
from polytune.engine.answers import AnswerMemory
from polytune.engine.artifacts import Artifact
from polytune.engine.ledger import Usage
from polytune.engine.step import Estimate, KeyFacts, Outcome, Port, Requirement, Scope, Work
from polytune.errors import Obstacle, StepFailed
from polytune.evaluation.exchanges import Exchange, read_exchanges
from polytune.evaluation.nearest import Nearest
from polytune.evaluation.results import (
    EvaluatedPrompt,
    JudgedAnswer,
    Scalar,
    answers_name,
    base,
    custom,
    evaluation_metrics,
    grader_result,
    nearest,
    summary_name,
    write_evaluation,
)
from polytune.fingerprint import Json
from polytune.formats.interface import FORMATS
from polytune.graders.interface import Case, Grader
from polytune.platforms.interface import (
    Inference,
    InvocationRequirement,
    Invoked,
    InvokedAnswer,
    Question,
)
from polytune.spec.model import (
    Adopted,
    CatalogueName,
    Effective,
    Inherited,
    Items,
    Member,
    MemberSpec,
    NameOrFolder,
)
from polytune.steps._invoking import answers_of, batches_of
from polytune.steps._judging import judge_facts, judging, missing_for, named_graders, notes_of, warnings_of
from polytune.steps._platform import PlatformStep, PlatformStepSpec

models = (base, custom)


class EvaluateSpec(PlatformStepSpec):
    """Compares the custom model with its base on prompts that neither was trained on."""

    base_model: Annotated[
        NameOrFolder | None, CatalogueName("base_models", is_closed=False), Adopted(), Effective()
    ] = None
    """Base model; default: that of the training step. Needed for a folder only: any other base model is known
    from what was trained."""
    graders: Annotated[Items[Annotated[MemberSpec, Member("graders")]], Field(min_length=1)]
    """Graders; the verdict of the first one is the headline."""
    max_tokens: Annotated[int, Field(ge=1, le=32_768)] = 512
    """Maximum length of an answer, in tokens."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Sampling temperature; 0 always takes the most likely token."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Use only this many test rows, from the first."""
    seed: Annotated[int, Inherited()] = 0
    """Seed for answers at a temperature above 0."""


class Evaluate(PlatformStep):
    """An evaluation: `evaluation.json` with the scores, `answers.jsonl` with every answer and verdict."""

    version = 1
    Spec = EvaluateSpec
    spec: EvaluateSpec
    consumes: ClassVar = {
        "model": Port(("Deployment", "CustomModel")),
        "dataset": Port(("CheckedDataset",)),
    }
    produces = "Evaluation"

    def __init__(self, spec: EvaluateSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.graders = named_graders(spec.graders, scope)
        self.inference = Inference(max_tokens=spec.max_tokens, temperature=spec.temperature, seed=spec.seed)

    def key_facts(self) -> KeyFacts:
        """Return the graders and their versions."""
        return judge_facts({grader.name: grader.identity() for grader in self.graders})

    def missing(self) -> Obstacle | None:
        """Return what the platform or a grader is missing on this machine."""
        return super().missing() or missing_for(self.graders)

    def estimate(self, inputs: Mapping[str, Artifact], answers: AnswerMemory) -> Estimate:
        """Estimate two answers to every test prompt."""
        dataset = inputs.get("dataset")
        rows = dataset.files["test.jsonl"].records if dataset and "test.jsonl" in dataset.files else None
        asked = None if rows is None else len(models) * min(rows, self.spec.limit or rows)
        free = 0.0 if self.platform.answers_free else None
        return Estimate(requests=asked, usd_low=free, usd_high=free, note="base and custom model")

    def requirements(self) -> Sequence[Requirement]:
        """Return the permission to invoke the models."""
        return [InvocationRequirement(platform=self.platform.name, spec=self.platform.spec)]

    async def run(self, work: Work) -> Outcome:
        """Request the answers that are not stored, judge all of them, and write both files."""
        dataset = work.inputs["dataset"]
        exchanges = await asyncio.to_thread(self._test_rows, work, dataset)
        # A rival that copies the answer of the most similar training prompt: a model that does not beat it
        # is no better than a search in the training data.
        texts = {nearest: await asyncio.to_thread(self._nearest, work, dataset, exchanges)}
        # Bedrock, for one, does not have the base of an imported model; the trivial rival then remains.
        asked = tuple(m for m in models if m != base or self.platform.has_base(work.inputs["model"]))
        gauge = Gauge(len(asked) * len(exchanges), work.report)
        answers = {model: await self._answers(work, model, exchanges, gauge) for model in asked}
        texts |= {model: [answer.text for answer in found] for model, found in answers.items()}
        async with judging(self.graders, work.record) as graders:
            judges = dict(zip([each.name for each in self.graders], graders, strict=True))
            rows = [await _judged(number, each, texts, judges) for number, each in enumerate(exchanges)]
        results = {
            each.name: grader_result(each.name, each.identity().name, rows, (*asked, nearest))
            for each in self.graders
        }
        write_evaluation(work.folder, rows, results)
        untrained = bool(work.inputs["model"].facts.get("from_scratch"))
        return Outcome(
            files=(summary_name, answers_name),
            records={answers_name: len(rows)},
            facts={"judges": {name: result.judged_by for name, result in results.items()}},
            metrics=evaluation_metrics(results, base_is_untrained=untrained),
            usage=_usage(gauge, [answer for found in answers.values() for answer in found]),
            warnings=warnings_of(graders),
            notes=notes_of(graders),
        )

    def _test_rows(self, work: Work, dataset: Artifact) -> list[Exchange]:
        layout = FORMATS.load(dataset.facts["layout"])()
        with work.path("dataset", "test.jsonl").open("rb") as file:
            # Sending the text without its image would give a score that means nothing.
            if any(layout.references_of(line) for line in file):
                raise StepFailed(
                    "test rows contain images, videos or documents, but evaluate sends text only: remove the"
                    " evaluate step, or give the dataset a text-only test split"
                )
        rows = read_exchanges(work.path("dataset", "test.jsonl"), dataset.facts["layout"])
        cells = (
            _cells(work.path("dataset", "provenance.jsonl")) if "provenance.jsonl" in dataset.files else {}
        )
        limited = rows[: self.spec.limit]
        return [
            msgspec.structs.replace(row, cell=cells.get(number, {})) for number, row in enumerate(limited, 1)
        ]

    def _nearest(self, work: Work, dataset: Artifact, exchanges: Sequence[Exchange]) -> list[str]:
        training = read_exchanges(work.path("dataset", "train.jsonl"), dataset.facts["layout"])
        index = Nearest((row.prompt, row.answer) for row in training)
        return [index.answer(row.prompt) for row in exchanges]

    async def _answers(
        self, work: Work, model: str, exchanges: Sequence[Exchange], gauge: Gauge
    ) -> list[InvokedAnswer]:
        """Return one model's answer to every prompt."""
        gauge.subject = f"asking the {model} model"
        gauge.tell(now=True)
        invoked = Invoked(work.inputs["model"], base=model == base, folder=self._base_folder(work))
        invoker = self.platform.invoker(invoked, self.inference)
        questions = [Question(system=each.system, prompt=each.prompt) for each in exchanges]
        batches = list(batches_of(questions, invoker.batch_size, self._identity(invoked)))
        environment = self.scope.settings.environment
        return await answers_of(invoker, batches, self.inference, work, gauge, environment)

    def _base_folder(self, work: Work) -> Path | None:
        """Return the folder of the base model; None when it is not a folder.

        Raises StepFailed when the folder holds another model than the one that was trained.
        """
        trained = work.inputs["model"].facts.get("base_digest")
        if trained is None:
            return None
        folder = self.files.get("base_model")
        if folder is None:
            raise StepFailed("set `base_model` to the folder of the base model that was trained")
        if work.record is None or work.record.files["base_model"] != trained:
            what = "no longer holds the base model that was trained: restore it, or train again"
            raise StepFailed(f"{self.spec.base_model} {what}")
        return folder

    def _identity(self, model: Invoked) -> dict[str, Json]:
        """Return everything except the questions that affects a model's answers."""
        facts = model.artifact.facts
        # Random weights (`from_scratch`) belong to this artifact alone; any other base model is shared.
        shared = model.base and not facts.get("from_scratch")
        own = str(facts.get("model_digest") or model.artifact.digest)
        return {
            "model": facts.get("base_digest", facts["base_model"]) if shared else own,
            "base": model.base,
            "inference": msgspec.to_builtins(self.inference),
        }


async def _judged(
    number: int, exchange: Exchange, texts: Mapping[str, Sequence[str]], judges: Mapping[str, Grader]
) -> EvaluatedPrompt:
    """Return the verdicts on all answers to one prompt, given by position among all."""
    answers = {}
    for who, found in texts.items():
        text = found[number]
        case = Case(prompt=exchange.prompt, answer=text, reference=exchange.answer, variables=exchange.cell)
        verdicts = {name: await judge.judge(case) for name, judge in judges.items()}
        answers[who] = JudgedAnswer(text=text, verdicts=verdicts)
    return EvaluatedPrompt(
        line=number + 1,
        prompt=exchange.prompt,
        reference=exchange.answer,
        cell=exchange.cell,
        answers=answers,
    )


def _usage(gauge: Gauge, answers: Sequence[InvokedAnswer]) -> Usage:
    """Return the usage. Tokens are those of every answer, including stored ones."""
    return Usage(
        requests=gauge.answers,
        reused=gauge.reused,
        input_tokens=sum(answer.input_tokens for answer in answers),
        output_tokens=sum(answer.output_tokens for answer in answers),
        usd=gauge.usd,
    )


class _ProvenanceRow(msgspec.Struct, frozen=True):
    split: str
    line: int
    cell: dict[str, Scalar] = {}


def _cells(path: Path) -> dict[int, dict[str, Scalar]]:
    """Return the matrix cell of each test row, by line."""
    with path.open("rb") as file:
        rows = (msgspec.json.decode(line, type=_ProvenanceRow) for line in file)
        return {row.line: row.cell for row in rows if row.split == "test"}
