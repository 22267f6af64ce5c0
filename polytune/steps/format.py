"""format: samples become training rows, split so that no prompt stands on two sides."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec
from pydantic import AfterValidator, Field

from polytune.data.dedupe.duplicates import default_threshold, lowest_threshold
from polytune.data.format.format import FormatOptions, FormatReport, format_samples, provenance_name
from polytune.engine.artifacts import Artifact
from polytune.engine.step import Outcome, Port, Step, Work
from polytune.formats.interface import FORMATS
from polytune.spec.model import CatalogueName, FieldProblem, Inherited, Spec

Share = Annotated[float, Field(ge=0, le=1)]
Threshold = Annotated[float, Field(ge=lowest_threshold, le=1)]


class DedupeSpec(Spec):
    """Which samples are dropped because another one says the same."""

    kind: Literal["exact", "near"] = "exact"
    """`exact`: prompt and answer are the same, whitespace aside; `near`: also those that are nearly so."""
    threshold: Threshold = default_threshold
    """From which likeness on samples are nearly the same: shared runs of eight bytes over all of both."""


class SplitSpec(Spec):
    """Shares of the prompts; they add up to 1."""

    train: Share = 0.8
    """What the model is trained on."""
    validation: Share = 0.1
    """What the loss is measured on while training."""
    test: Share = 0.1
    """What base and custom model are compared on; it is never uploaded."""
    cluster: Literal["prompt", "exact", "near"] = "prompt"
    """What is never divided: the samples of one `prompt`; with `exact` or `near` also samples that are alike,
    and those that stem from one seed."""
    threshold: Threshold = default_threshold
    """From which likeness on samples are `near`."""

    def problems(self) -> list[FieldProblem]:
        """Shares that do not add up, or leave nothing to train on."""
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-9:
            return [FieldProblem("", f"the shares must add up to 1, not {total:g}")]
        return [] if self.train > 0 else [FieldProblem("train", "must be above 0")]


class FormatSpec(Spec):
    """Turns samples into the records that training reads."""

    layout: Annotated[str, CatalogueName("formats"), AfterValidator(FORMATS.checked)] = (
        "bedrock-conversation-2024"
    )
    """The record layout: a name in `formats/`. In `bedrock-rft` a sample's answer is the reference that a
    grader compares with."""
    system: Annotated[str, Field(min_length=1)] = "full"
    """Which system prompt goes into the rows: `full` (the one the teacher saw), `short` (the prompt
    library's `short_system`), `none`, or a text of your own."""
    split: SplitSpec = SplitSpec()
    """How the prompts are divided."""
    dedupe: DedupeSpec = DedupeSpec()
    """Which samples are dropped because another one says the same."""
    seed: Annotated[int, Inherited()] = 0
    """Decides which prompts go to which split."""

    def problems(self) -> list[FieldProblem]:
        """A layout that has no place for a question and its answer."""
        if FORMATS.load(self.layout).takes_samples:
            return []
        fit = [name for name in FORMATS.names() if FORMATS.load(name).takes_samples]
        what = f"{self.layout} has no place for samples of text. Use {', '.join(fit)}"
        return [FieldProblem("layout", what)]


class FormatStep(Step):
    """A dataset: a file for each split and `provenance.jsonl`, which says where each row came from."""

    version = 1
    Spec = FormatSpec
    spec: FormatSpec
    consumes: ClassVar = {"samples": Port(("Samples",))}
    produces = "Dataset"

    async def run(self, work: Work) -> Outcome:
        """Streams the samples once."""
        path = work.path("samples", "samples.jsonl")
        options = self._options(work.inputs["samples"], path)
        report = await asyncio.to_thread(format_samples, path, work.folder, options)
        rows = {f"{name}.jsonl": count for name, count in report.rows.items()}
        return Outcome(
            files=(*rows, provenance_name),
            records={**rows, provenance_name: sum(rows.values())},
            facts={"layout": self.spec.layout, "system": _system(options)},
            metrics=_metrics(report),
        )

    def _options(self, samples: Artifact, path: Path) -> FormatOptions:
        cluster = self.spec.split.cluster
        if cluster == "prompt" and _carries_seeds(path):
            cluster = "exact"  # children of one seed stay on one side, whatever else is grouped
        return FormatOptions(
            format=self.spec.layout,
            system=self.spec.system,
            short_system=samples.facts.get("short_system", ""),
            train=self.spec.split.train,
            validation=self.spec.split.validation,
            test=self.spec.split.test,
            seed=self.spec.seed,
            dedupe=self.spec.dedupe.kind,
            dedupe_threshold=self.spec.dedupe.threshold,
            cluster=cluster,
            cluster_threshold=self.spec.split.threshold,
        )


def _carries_seeds(path: Path) -> bool:
    """Whether samples stem from seeds: the key stands in a row as JSON writes it, never inside a text."""
    with path.open("rb") as file:
        return any(b'"seed":' in line for line in file)


def _system(options: FormatOptions) -> str:
    """The one system prompt of all rows; '' when there is none or it differs from cell to cell."""
    if options.system == "short":
        return options.short_system
    return "" if options.system in ("full", "none") else options.system


def _metrics(report: FormatReport) -> dict[str, object]:
    metrics: dict[str, object] = msgspec.to_builtins(report)
    return metrics
