"""train: supervised fine-tuning of a base model on an uploaded dataset, as a job on the platform."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from polytune.base_models.interface import (
    BASE_MODELS,
    BaseModelEntry,
    Range,
    checked_base_model,
    find_base_model,
    is_folder,
)
from polytune.data.estimates import training_estimate
from polytune.engine.answers import AnswerMemory
from polytune.engine.artifacts import Artifact
from polytune.engine.jobs import Look
from polytune.engine.step import Estimate, KeyFacts, Outcome, Port, Progress, Scope, Step, Work
from polytune.files import digest_of
from polytune.platforms.interface import Customization, open_platform
from polytune.spec.model import CatalogueName, FieldProblem, Inherited, JsonObject, Member, MemberSpec, Spec

hyperparameters = ("epochs", "learning_rate", "warmup_steps", "batch_size")
"""The fields whose range and default depend on the base model."""


class TrainSpec(Spec):
    """Fine-tunes a base model; what is left out takes the base model's default."""

    base_model: Annotated[
        str, CatalogueName("base_models", is_closed=False), AfterValidator(checked_base_model)
    ]
    """A name of the catalogue, such as `nova-lite` or `tiny-llama`, or the path of a Hugging Face folder."""
    epochs: Annotated[int, Field(ge=1)] | None = None
    """Passes over the training split."""
    learning_rate: Annotated[float, Field(gt=0, lt=10)] | None = None
    """The peak learning rate."""
    warmup_steps: Annotated[int, Field(ge=0)] | None = None
    """Steps over which the learning rate rises to its peak."""
    batch_size: Annotated[int, Field(ge=1)] | None = None
    """Rows per step."""
    method: Literal["lora", "full"] | None = None
    """Local models only: adapters on every linear layer, or all weights."""
    lora_rank: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Local models with `method: lora` only: the adapters' rank."""
    platform: Annotated[MemberSpec, Member("platforms"), Inherited()]
    """Where to train."""
    seed: Annotated[int, Inherited()] = 0
    """Initial weights and the order of rows."""

    def problems(self) -> list[FieldProblem]:
        """Settings outside the base model's ranges, and a base model of another platform."""
        if is_folder(self.base_model):
            return []
        entry = BASE_MODELS.get(self.base_model)
        return [*_platform_problems(entry, self.platform.kind), *self._range_problems(entry)]

    @classmethod
    def schema_rules(cls) -> list[JsonObject]:
        """Each base model's ranges and defaults, where the file names the base model itself."""
        return [_schema_rule(BASE_MODELS.get(name)) for name in BASE_MODELS.names()]

    def _range_problems(self, entry: BaseModelEntry) -> list[FieldProblem]:
        if entry.hyperparameters is None:
            what = f"{entry.name} cannot be fine-tuned; it is a teacher for distillation"
            return [FieldProblem("base_model", what)]
        source = entry.source_of("hyperparameters")
        cited = f" ({source.where}, {source.date})" if source else ""
        found = []
        for name, value in self._stated().items():
            allowed = getattr(entry.hyperparameters, name)
            if not allowed.holds(value):
                between = "-" if isinstance(allowed.minimum, int) else " to "
                limits = f"{allowed.minimum:g}{between}{allowed.maximum:g}"
                found.append(FieldProblem(name, f"{value:g} is outside {limits} for {entry.name}{cited}"))
        return found

    def _stated(self) -> dict[str, int | float]:
        values = {name: getattr(self, name) for name in hyperparameters}
        return {name: value for name, value in values.items() if value is not None}


class Train(Step):
    """A custom model: its files where the platform gives them out, and what it takes to use it."""

    version = 1
    Spec = TrainSpec
    consumes: ClassVar = {"dataset": Port(("RemoteDataset",))}
    produces = "CustomModel"

    def __init__(self, spec: TrainSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.spec = spec
        self.platform = open_platform(spec.platform, scope.root, scope.settings)

    def missing(self) -> str:
        """What the platform lacks on this machine."""
        return self.platform.missing()

    def key_facts(self) -> KeyFacts:
        """The hyperparameters in force, and the base model's identity."""
        entry = self._entry()
        facts = {"training_id": entry.name, "hyperparameters": self._hyperparameters(entry)}
        if not is_folder(self.spec.base_model):
            return KeyFacts({**facts, "training_id": entry.training_id})
        folder = self._directory()
        weights = [p for p in sorted(folder.iterdir()) if p.suffix in (".json", ".safetensors", ".model")]
        return KeyFacts({**facts, "files": {p.name: digest_of(p) for p in weights}}, tuple(weights))

    def _entry(self) -> BaseModelEntry:
        return find_base_model(self.spec.base_model, self.scope.folder)

    def _directory(self) -> Path:
        return (self.scope.folder / self.spec.base_model).resolve()

    def _hyperparameters(self, entry: BaseModelEntry) -> dict[str, int | float]:
        ranges = entry.hyperparameters
        assert ranges is not None
        values: dict[str, int | float] = {name: getattr(ranges, name).default for name in hyperparameters}
        stated = {name: getattr(self.spec, name) for name in hyperparameters}
        values |= {name: value for name, value in stated.items() if value is not None}
        return values | ({"lora_rank": self.spec.lora_rank} if self.spec.lora_rank else {})

    def estimate(self, inputs: Mapping[str, Artifact], answers: AnswerMemory) -> Estimate:
        """Tokens times epochs, and what the base model's price makes of them."""
        entry = self._entry()
        dataset = inputs.get("dataset")
        tokens = dataset.facts.get("train_tokens") if dataset else None
        return training_estimate(entry, tokens, self._hyperparameters(entry)["epochs"])

    async def run(self, work: Work) -> Outcome:
        """Submits the job or finds the one that is already there, waits for it, and collects."""
        dataset = work.inputs["dataset"]
        ask = Customization(
            base_model=str(self._directory()) if is_folder(self.spec.base_model) else self.spec.base_model,
            method=self.spec.method or "",
            hyperparameters=self._hyperparameters(self._entry()),
            layout=dataset.facts["layout"],
            seed=self.spec.seed,
        )
        driver, request = self.platform.customization(ask, dataset.facts["uris"])
        job = await work.jobs.finish(driver, request, lambda look: _report(work, look))
        collected = await asyncio.to_thread(self.platform.collect, job, work.folder)
        facts = {**collected.facts, "layout": dataset.facts["layout"], "system": dataset.facts["system"]}
        if is_folder(self.spec.base_model):
            facts["base_path"] = os.path.relpath(self._directory(), self.scope.root)
        return Outcome(
            files=collected.files,
            facts={**facts, "base_model": self.spec.base_model, "platform": self.spec.platform.kind},
            metrics=collected.metrics,
            resources=collected.resources,
        )


def _report(work: Work, look: Look) -> None:
    work.report(Progress(done=look.done, total=1.0, note=look.message))


def _schema_rule(entry: BaseModelEntry) -> JsonObject:
    named = {"properties": {"base_model": {"const": entry.name}}, "required": ["base_model"]}
    if entry.hyperparameters is None:
        what = f"{entry.name} cannot be fine-tuned; it is a teacher for distillation"
        return {"if": named, "then": {"properties": {"base_model": {"not": {}, "description": what}}}}
    ranges = {name: _schema_range(name, entry) for name in hyperparameters}
    return {"if": named, "then": {"properties": ranges}}


def _schema_range(name: str, entry: BaseModelEntry) -> JsonObject:
    allowed: Range[float] = getattr(entry.hyperparameters, name)
    fixed = allowed.minimum == allowed.maximum
    limits = f"only {allowed.minimum:g}" if fixed else f"{allowed.minimum:g} to {allowed.maximum:g}"
    return {
        "description": f"{limits} for {entry.title}; {allowed.default:g} when not stated.",
        "minimum": allowed.minimum,
        "maximum": allowed.maximum,
        "default": allowed.default,
    }


def _platform_problems(entry: BaseModelEntry, platform: str) -> list[FieldProblem]:
    if entry.platform == platform:
        return []
    here = [name for name in BASE_MODELS.names() if BASE_MODELS.get(name).platform == platform]
    what = f"{entry.name} is trained on {entry.platform}, not on {platform}"
    remedy = f"Set `platform: {{kind: {entry.platform}}}`, or choose {', '.join(here)}"
    return [FieldProblem("base_model", f"{what}. {remedy}")]
