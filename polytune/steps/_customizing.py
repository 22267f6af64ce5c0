"""Shared by train, distill and reinforce: suitable base models, hyperparameters by name, and the job."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from pydantic import Field

from polytune.base_models.interface import (
    BASE_MODELS,
    BaseModelEntry,
    Customization,
    Hyperparameter,
    Number,
    custom_model_arn,
    find_base_model,
    is_folder,
    name_of,
)
from polytune.engine.artifacts import Artifact, Facts
from polytune.engine.step import Estimate, Outcome, Work
from polytune.errors import Obstacle
from polytune.platforms import interface as platforms
from polytune.spec.model import Effective, FieldProblem, JsonObject, Spec
from polytune.steps._platform import PlatformStep

Auto = Literal["auto"]
# What is stated, what `auto` comes to and a base model's own default are all among the key facts.
Count = Annotated[Annotated[int, Field(ge=1)] | Auto | None, Effective()]
Steps = Annotated[Annotated[int, Field(ge=0)] | Auto | None, Effective()]
Rate = Annotated[Annotated[float, Field(gt=0, lt=10)] | Auto | None, Effective()]

Known = Mapping[str, Hyperparameter]


def stated(spec: Spec, words: tuple[str, ...]) -> dict[str, Number | str]:
    """Return the hyperparameters that a spec states, by name."""
    values = {word: getattr(spec, word) for word in words}
    return {word: value for word, value in values.items() if value is not None}


def fitting_problems(
    entry: BaseModelEntry, kind: Customization, platform: str, values: Mapping[str, Number | str]
) -> list[FieldProblem]:
    """Return problems: a base model that does not support this, here or at all; values outside its ranges."""
    misplaced = _platform_problems(entry, platform)
    known = entry.reinforcement if kind == "reinforcement_fine_tuning" else entry.hyperparameters
    # Ranges are checked last: those of a model that cannot be customized here would only distract.
    if kind not in entry.customizations or (known is None and kind != "distillation"):
        return [*misplaced, FieldProblem("base_model", untunable(entry, kind))]
    offering = entry.platforms.get(platform)
    if offering is not None and offering.untrained_because:
        what = f"{entry.title} {offering.untrained_because}. Choose another base model"
        return [*misplaced, FieldProblem("base_model", what)]
    return [*misplaced, *_range_problems(entry, kind, known or {}, values)]


def untunable(entry: BaseModelEntry, kind: Customization) -> str:
    """Return why a base model does not support a customization, and what it supports instead."""
    words = {"fine_tuning": "be fine-tuned", "distillation": "be a student in a distillation"}
    cannot = words.get(kind, f"take {kind.replace('_', ' ')}")
    if kind in entry.refused:
        return f"{entry.name} cannot {cannot}: {entry.refused[kind]}"
    if entry.customizations:
        return f"{entry.name} cannot {cannot}; it takes {' and '.join(entry.customizations)}"
    return f"{entry.name} cannot {cannot}; it is a teacher for distillation"


def _range_problems(
    entry: BaseModelEntry, kind: Customization, known: Known, values: Mapping[str, Number | str]
) -> list[FieldProblem]:
    source = entry.source_of("reinforcement" if kind == "reinforcement_fine_tuning" else "hyperparameters")
    # Limits come from vendors and change; the user can check the source and its date.
    cited = f" ({source.where}, {source.date})" if source else ""
    found = []
    for word, value in values.items():
        allowed = known.get(word)
        if allowed is None:
            found.append(FieldProblem(word, f"{entry.name} has none{cited}; it has {', '.join(known)}"))
        elif value == "auto" and not allowed.auto and not _ruled(entry, word):
            found.append(FieldProblem(word, f"no rule is published for {entry.name}; set a number"))
        elif value != "auto" and not allowed.holds(value):
            limits = allowed.allowed.replace(" to ", "-") if allowed.whole else allowed.allowed
            shown = f"{value:g}" if isinstance(value, int | float) else value
            found.append(FieldProblem(word, f"{shown} is outside {limits} for {entry.name}{cited}"))
    lacking = [word for word, each in known.items() if each.required and word not in values]
    return found + [FieldProblem(word, f"must be set for {entry.name}") for word in lacking]


def _ruled(entry: BaseModelEntry, word: str) -> bool:
    return entry.automatic is not None and word in entry.automatic.values(0)


def in_force(
    entry: BaseModelEntry, known: Known, values: Mapping[str, Number | str], rows: int | None
) -> dict[str, Number | str]:
    """Return every hyperparameter of a job: as stated, by the vendor's rules for `rows`, or the default.

    `auto` stays as it is when the number of rows is unknown or the API chooses by itself.
    """
    defaults = {word: each.default for word, each in known.items() if each.default is not None}
    chosen = defaults | {word: value for word, value in values.items() if word in known}
    # Without the number of rows `auto` stays a word. The key holds it so, because the dataset is an input of
    # the step anyway.
    ruled = entry.automatic.values(rows) if entry.automatic and rows is not None else {}
    for word, value in chosen.items():
        if value == "auto":
            chosen[word] = ruled.get(word, known[word].auto or value)
    return chosen


def with_end_of_life(estimate: Estimate, *entries: BaseModelEntry) -> Estimate:
    """Add a note to the estimate about models that AWS has retired or will retire."""
    today = date.today().isoformat()
    notes = [
        f"{entry.title} {'reached' if entry.has_ended(today) else 'reaches'} its end of life on"
        f" {entry.end_of_life}"
        for entry in entries
        if entry.end_of_life
    ]
    return msgspec.structs.replace(estimate, note="; ".join(filter(None, (estimate.note, *notes))))


def rows_of(dataset: Artifact | None) -> int | None:
    """Return the number of training rows of an uploaded dataset, if known."""
    rows = dataset.facts.get("rows", {}).get("train") if dataset else None
    return rows if isinstance(rows, int) else None


def starting_point(base_model: str, model: Artifact | None) -> str:
    """Return the ARN of the custom model to train further; '' for a base model."""
    return str(model.facts["model_arn"]) if model else custom_model_arn(base_model) or ""


def short_name(base_model: str) -> str:
    """Return the catalogue's name of a base model, which may be given as an ARN."""
    return name_of(base_model) if base_model.startswith("arn:") else base_model


async def customized(step: PlatformStep, work: Work, ask: platforms.Customization, facts: Facts) -> Outcome:
    """Submit the job or find it, wait for it, and collect the custom model."""
    uris = work.inputs["dataset"].facts["uris"] if "dataset" in work.inputs else {}
    job = await step.finished(step.platform.customization(ask, uris), work)
    collected = await asyncio.to_thread(step.platform.collect, job, work.folder)
    return Outcome(
        files=collected.files,
        facts={**collected.facts, **facts},
        metrics=collected.metrics,
        resources=collected.resources,
    )


def schema_rules(words: tuple[str, ...], kind: Customization) -> list[JsonObject]:
    """Return each base model's ranges and defaults, for editors, where a file names the model itself."""
    return [_schema_rule(BASE_MODELS.get(name), words, kind) for name in BASE_MODELS.names()]


def _schema_rule(entry: BaseModelEntry, words: tuple[str, ...], kind: Customization) -> JsonObject:
    named = {"properties": {"base_model": {"const": entry.name}}, "required": ["base_model"]}
    known = entry.reinforcement if kind == "reinforcement_fine_tuning" else entry.hyperparameters
    if known is None or kind not in entry.customizations:
        # `not: {}` accepts nothing, so an editor marks the name and shows the reason.
        refusal = {"not": {}, "description": untunable(entry, kind)}
        return {"if": named, "then": {"properties": {"base_model": refusal}}}
    ranges = {word: _schema_range(entry, known.get(word), word) for word in words}
    return {"if": named, "then": {"properties": ranges}}


def _schema_range(entry: BaseModelEntry, allowed: Hyperparameter | None, word: str) -> JsonObject:
    if allowed is None:
        return {"type": "null", "description": f"{entry.title} has none."}
    if allowed.default is None:
        unstated = "must be stated" if allowed.required else "the platform's own when not stated"
    else:
        unstated = f"{allowed.default} when not stated"
    bounds = {"minimum": allowed.minimum, "maximum": allowed.maximum, "default": allowed.default}
    by_rule = ", or auto," if _ruled(entry, word) else ""
    return {
        "description": f"{allowed.allowed}{by_rule} for {entry.title}; {unstated}.",
        **{key: value for key, value in bounds.items() if value is not None},
    }


def _platform_problems(entry: BaseModelEntry, platform: str) -> list[FieldProblem]:
    if platform in entry.platforms:
        return []
    here = [name for name in BASE_MODELS.names() if platform in BASE_MODELS.get(name).platforms]
    what = f"{entry.name} is trained on {' or '.join(entry.platforms)}, not on {platform}"
    remedy = f"Set `platform: {{kind: {next(iter(entry.platforms))}}}`, or choose {', '.join(here)}"
    return [FieldProblem("base_model", f"{what}. {remedy}")]


def refused(step: PlatformStep, *base_models: str) -> Obstacle | None:
    """Return what the platform is missing, or why it does not customize one of the base models now."""
    assert step.offer is not None
    if "model" in step.scope.connected and "further_training" not in step.platform.offers:
        return step.platform.without("further_training")
    if (found := step.platform.lacks(step.offer)) is not None:
        return found
    refusals = (step.platform.refuses(name) for name in base_models if not is_folder(name))
    return next((replace(each, field="base_model") for each in refusals if each), None)


def base_model_of(name: str, files: Mapping[str, Path]) -> BaseModelEntry:
    """Return the entry of a step's `base_model`; for a folder, from what lies in it now."""
    return find_base_model(str(files.get("base_model", name)), Path())
