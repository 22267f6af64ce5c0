"""distill: trains a smaller model on the answers of a larger one, as one managed job of the platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from polytune.base_models.interface import (
    BaseModelEntry,
    Prices,
    checked_base_model,
    end_of_life_obstacle,
    stated_base_model,
)
from polytune.data.prices import prices_of
from polytune.engine.answers import AnswerMemory
from polytune.engine.artifacts import Artifact
from polytune.engine.step import Estimate, KeyFacts, Outcome, Port, Requirement, Work
from polytune.errors import Obstacle
from polytune.platforms.interface import Customization, CustomizationRequirement, Logs, Teaching
from polytune.spec.model import CatalogueName, FieldProblem, Spec
from polytune.steps import _customizing as customizing
from polytune.steps._platform import PlatformStep, PlatformStepSpec

synthesized_rows = 15_000
"""Maximum number of prompt-response pairs that Bedrock makes from the prompts (model-distillation.html)."""
most_filters = 16


class LogsSpec(Spec):
    """Invocation logs that Bedrock wrote to S3, as training data."""

    uri: Annotated[str, Field(pattern=r"^s3://[a-z0-9][-.a-z0-9]{1,61}[a-z0-9](/[-!_*'().a-zA-Z0-9]+)*/?$")]
    """Prefix that logging was configured with, such as `s3://my-logs/bedrock/AWSLogs`."""
    use_responses: bool = False
    """Also use the logged answers, which must be the teacher's own."""
    match: Annotated[dict[str, str], Field(max_length=most_filters)] = {}
    """Request metadata that a record must have, all of it; {} matches every record."""
    exclude: Annotated[dict[str, str], Field(max_length=most_filters)] = {}
    """Request metadata that a record must not have."""

    def filters(self) -> dict[str, Any]:
        """Return the filters in the API's form: a single condition, or all of several."""
        found: list[dict[str, Any]] = [{"equals": {name: value}} for name, value in self.match.items()]
        found += [{"notEquals": {name: value}} for name, value in self.exclude.items()]
        return {} if not found else found[0] if len(found) == 1 else {"andAll": found}

    def asked(self) -> Logs:
        """Return the logs as the platform's interface takes them."""
        return Logs(uri=self.uri, use_responses=self.use_responses, filters=self.filters())

    def problems(self) -> list[FieldProblem]:
        """Report more conditions than the API accepts."""
        many = len(self.match) + len(self.exclude) > most_filters
        what = f"at most {most_filters} conditions together with `exclude`"
        return [FieldProblem("match", what)] if many else []


class DistillSpec(PlatformStepSpec):
    """Lets a teacher model of the platform answer prompts and trains the student on the answers.

    The prompts come from the dataset, whose answers stay as examples, or from invocation logs.
    """

    base_model: Annotated[str, CatalogueName("base_models"), AfterValidator(checked_base_model)]
    """Student model: a name from the catalogue, an AWS id, or the ARN of a custom model to train further."""
    teacher_model: Annotated[str, CatalogueName("base_models"), AfterValidator(checked_base_model)]
    """Teacher model; the catalogue must list it for the student."""
    max_response_tokens: Annotated[int, Field(ge=1, le=8192)] = 1000
    """Maximum length of the teacher's answers, in tokens."""
    logs: LogsSpec | None = None
    """Invocation logs to use instead of an uploaded dataset."""

    def problems(self) -> list[FieldProblem]:
        """Report a pair of models that the platform does not offer."""
        student = stated_base_model(self.base_model)
        found = customizing.fitting_problems(student, "distillation", self.platform.kind, {})
        if self.teacher_model in student.teachers or found:
            return found
        choice = f"Its teachers: {', '.join(student.teachers)}"
        what = f"{self.teacher_model} does not teach {student.name}. {choice}"
        return [FieldProblem("teacher_model", what)]


class Distill(PlatformStep):
    """A custom model made by distillation."""

    version = 1
    Spec = DistillSpec
    spec: DistillSpec
    offer = "distillation"
    consumes: ClassVar = {
        "dataset": Port(("RemoteDataset",), optional=True),
        "model": Port(("CustomModel",), optional=True, explicit=True),
    }
    produces = "CustomModel"

    def missing(self) -> Obstacle | None:
        """Return what the platform is missing, which model has ended, or that there are no prompts."""
        found = customizing.refused(self, self.spec.base_model)
        return found or self._without_teacher() or self._without_prompts()

    def _without_teacher(self) -> Obstacle | None:
        if self.scope.settings.rehearsal:
            return None
        teacher = stated_base_model(self.spec.teacher_model)
        ended = end_of_life_obstacle(teacher, datetime.now(UTC).date())
        return replace(ended, field="teacher_model") if ended else None

    def _without_prompts(self) -> Obstacle | None:
        # Checked here and not in the spec, which does not know what the step's ports are connected to.
        has_dataset = "dataset" in self.scope.connected
        if has_dataset and self.spec.logs is not None:
            return Obstacle(
                "the prompts come from `logs:`", "Remove either the upload step or `logs:`", "logs"
            )
        if has_dataset or self.spec.logs is not None:
            return None
        return Obstacle("no prompts", "Add `upload: {}` for an uploaded dataset, or set `logs:`")

    def key_facts(self) -> KeyFacts:
        """Return the ids of student and teacher, and what the environment determines."""
        platform = self.spec.platform.kind
        student = stated_base_model(self.spec.base_model).on(platform)
        teacher = stated_base_model(self.spec.teacher_model).on(platform)
        around = self.platform.key_facts()
        ids = {"training_id": student.training_id, "teacher_id": teacher.inference_id}
        return KeyFacts({**ids, **around.facts}, environment=around.environment)

    def estimate(self, inputs: Mapping[str, Artifact], answers: AnswerMemory) -> Estimate:
        """Estimate the teacher's answers and the student's training, from the given rows to the maximum."""
        self.platform.refresh_prices()
        student = stated_base_model(self.spec.base_model)
        teacher = stated_base_model(self.spec.teacher_model)
        return customizing.with_end_of_life(
            self._priced(student, teacher, inputs.get("dataset")), student, teacher
        )

    def _priced(self, student: BaseModelEntry, teacher: BaseModelEntry, dataset: Artifact | None) -> Estimate:
        prices = {
            entry.name: prices_of(entry, self.scope.settings) or Prices() for entry in (student, teacher)
        }
        written = prices[teacher.name].output_usd_per_1k_tokens
        trained = prices[student.name].training_usd_per_1k_tokens
        rows = customizing.rows_of(dataset)
        tokens = dataset.facts.get("train_tokens") if dataset else None
        if written is None or trained is None:
            lacking = [n for n, price in ((teacher.name, written), (student.name, trained)) if price is None]
            return Estimate(note=f"price unknown: no sourced price for {' and '.join(lacking)}")
        if not rows or tokens is None:
            return Estimate(note="the prompts do not exist yet")
        # Few answers reach the maximum length: a quarter of it is assumed for the lower bound.
        low = rows * self.spec.max_response_tokens / 4
        high = max(rows, synthesized_rows) * self.spec.max_response_tokens
        return Estimate(
            tokens=round(tokens + low),
            usd_low=round((low * (written + trained) + tokens * trained) / 1000, 2),
            usd_high=round((high * (written + trained) + tokens * trained) / 1000, 2),
            note=f"Bedrock may make up to {synthesized_rows:,} pairs out of the prompts",
        )

    def requirements(self) -> Sequence[Requirement]:
        """Return the permission for a distillation job, which invokes the teacher and may read logs."""
        return [
            CustomizationRequirement(
                platform=self.platform.name,
                spec=self.platform.spec,
                kind="distillation",
                base_model=self.spec.base_model,
                teacher_model=self.spec.teacher_model,
                logs=self.spec.logs.uri if self.spec.logs else "",
            )
        ]

    async def run(self, work: Work) -> Outcome:
        """Submit the job or find the existing one, wait for it, and collect the model."""
        spec, dataset = self.spec, work.inputs.get("dataset")
        name = customizing.short_name(spec.base_model)
        ask = Customization(
            kind="distillation",
            base_model=name,
            starts_from=customizing.starting_point(spec.base_model, work.inputs.get("model")),
            layout=dataset.facts["layout"] if dataset else "",
            label=self.label("distill"),
            teaching=Teaching(teacher_model=spec.teacher_model, max_response_tokens=spec.max_response_tokens),
            logs=spec.logs.asked() if spec.logs else None,
        )
        facts = {
            # Logs have no layout of ours; Bedrock trains on conversations.
            "layout": dataset.facts["layout"] if dataset else "bedrock-conversation-2024",
            "system": dataset.facts["system"] if dataset else "",
            "base_model": name,
            "platform": spec.platform.kind,
        }
        return await customizing.customized(self, work, ask, facts)
