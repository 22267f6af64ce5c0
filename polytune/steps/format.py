"""format: turns samples into training rows, split so that no prompt occurs in two splits."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec
from pydantic import AfterValidator, Field

from polytune.data.dedupe.duplicates import default_threshold, lacking_for, lowest_threshold
from polytune.data.format.format import FormatOptions, FormatReport, format_samples, provenance_name
from polytune.engine.artifacts import Artifact
from polytune.engine.step import Outcome, Port, Step, Work
from polytune.errors import Obstacle
from polytune.formats.interface import FORMATS
from polytune.spec.model import CatalogueName, FieldProblem, Inherited, Spec

Share = Annotated[float, Field(ge=0, le=1)]
Threshold = Annotated[float, Field(ge=lowest_threshold, le=1)]


class DedupeSpec(Spec):
    """Which samples are dropped because another one says the same."""

    kind: Literal["exact", "near"] = "exact"
    """`exact` drops a sample with the same prompt and answer, whitespace aside; `near` also similar ones."""
    threshold: Threshold = default_threshold
    """Similarity from which samples are `near`: shared eight-byte sequences divided by all in either."""


class SplitSpec(Spec):
    """Shares of the prompts; they must add up to 1."""

    train: Share = 0.8
    """Share that the model is trained on."""
    validation: Share = 0.1
    """Share on which the loss is measured during training."""
    test: Share = 0.1
    """Share on which base and custom model are compared; it is never uploaded."""
    cluster: Literal["prompt", "exact", "near"] = "prompt"
    """What stays together in one split: the samples of one `prompt`; with `exact` or `near` also similar
    samples, and those derived from one seed."""
    threshold: Threshold = default_threshold
    """Similarity from which samples are `near`."""

    def problems(self) -> list[FieldProblem]:
        """Report shares that do not add up or leave nothing to train on."""
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-9:
            return [FieldProblem("", f"the shares must add up to 1, not {total:g}")]
        return [] if self.train > 0 else [FieldProblem("train", "must be above 0")]


class FormatSpec(Spec):
    """Turns samples into training records."""

    layout: Annotated[str, CatalogueName("formats"), AfterValidator(FORMATS.checked)] = (
        "bedrock-conversation-2024"
    )
    """Record layout: a name in `formats/`. In `bedrock-rft` a sample's answer is the reference with which a
    grader compares."""
    system: Annotated[str, Field(min_length=1)] = "full"
    """System prompt of the rows: `full` (the one the teacher saw), `short` (the prompt library's
    `short_system`), `none`, or a text of your own."""
    split: SplitSpec = SplitSpec()
    """How the prompts are split."""
    dedupe: DedupeSpec = DedupeSpec()
    """Which samples are dropped because another one says the same."""
    seed: Annotated[int, Inherited()] = 0
    """Determines which prompts go into which split."""

    def problems(self) -> list[FieldProblem]:
        """Report a layout that cannot hold a question and its answer."""
        if FORMATS.load(self.layout).takes_samples:
            return []
        fit = [name for name in FORMATS.names() if FORMATS.load(name).takes_samples]
        what = f"{self.layout} has no place for samples of text. Use {', '.join(fit)}"
        return [FieldProblem("layout", what)]


class FormatStep(Step):
    """A dataset: one file per split and `provenance.jsonl`, which records the origin of each row."""

    version = 1
    Spec = FormatSpec
    spec: FormatSpec
    consumes: ClassVar = {"samples": Port(("Samples",))}
    produces = "Dataset"

    def missing(self) -> Obstacle | None:
        """Return the package that near-duplicates need and this machine does not have."""
        kinds = {"dedupe.kind": self.spec.dedupe.kind, "split.cluster": self.spec.split.cluster}
        lacking = ((field, lacking_for(kind)) for field, kind in kinds.items())
        return next((replace(each, field=field) for field, each in lacking if each), None)

    async def run(self, work: Work) -> Outcome:
        """Stream the samples once."""
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
            # Children of one seed stay in one split, whatever else is grouped.
            cluster = "exact"
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
    """Whether samples have seeds. Quotes inside a JSON text are escaped, so a byte search is safe."""
    with path.open("rb") as file:
        return any(b'"seed":' in line for line in file)


def _system(options: FormatOptions) -> str:
    """Return the system prompt of all rows; '' when there is none or it differs between cells."""
    if options.system == "short":
        return options.short_system
    return "" if options.system in ("full", "none") else options.system


def _metrics(report: FormatReport) -> dict[str, object]:
    metrics: dict[str, object] = msgspec.to_builtins(report)
    return metrics
