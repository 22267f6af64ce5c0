"""validate: checks a dataset against its format and base model's rules, before anything is sent or paid."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator

from polytune.base_models.interface import (
    BaseModelEntry,
    Customization,
    checked_base_model,
    find_base_model,
    is_folder,
)
from polytune.data.validate.report import CheckReport, render, to_json
from polytune.data.validate.validate import check_dataset
from polytune.engine.artifacts import Artifact, Facts
from polytune.engine.step import KeyFacts, Outcome, Port, Step, Work
from polytune.errors import DataError
from polytune.files import write_whole
from polytune.fingerprint import fingerprint, stated
from polytune.spec.model import Adopted, CatalogueName, FieldProblem, NameOrFolder, Spec
from polytune.steps._customizing import base_model_of

splits = ("train", "validation", "test")
report_name = "validation.json"


ruling = ("limits", "other_limits", "formats", "other_formats", "reserved", "blocks", "media", "stricter")
"""The facts about a base model from which its rules for rows are derived."""


class ValidateSpec(Spec):
    """Checks every row; errors stop the run."""

    base_model: Annotated[
        NameOrFolder,
        CatalogueName("base_models", is_closed=False),
        Adopted(),
        AfterValidator(checked_base_model),
    ]
    """Base model whose rules apply; default: that of the training step."""
    customization: Customization | None = None
    """Kind of training job: `fine_tuning`, `distillation` (rows need no answer), or
    `reinforcement_fine_tuning`. Default: the first that the base model offers for the layout."""

    def problems(self) -> list[FieldProblem]:
        """Report a kind of job that the base model does not offer."""
        if self.customization is None or is_folder(self.base_model):
            return []
        entry = find_base_model(self.base_model, Path())
        if self.customization in entry.customizations:
            return []
        reason = entry.refused.get(self.customization, f"it offers {' and '.join(entry.customizations)}")
        return [FieldProblem("customization", f"{entry.name} has none: {reason}")]


class Validate(Step):
    """A checked dataset: the same files, and `validation.json` with all findings and statistics."""

    version = 1
    Spec = ValidateSpec
    spec: ValidateSpec
    consumes: ClassVar = {"dataset": Port(("Dataset",))}
    produces = "CheckedDataset"

    def key_facts(self) -> KeyFacts:
        """Return a digest of the base model's facts from which the rules are derived."""
        entry = self._entry()
        # Not the polytune version: a release that changes no rule must not invalidate checked datasets.
        rules = [stated(getattr(entry, name)) for name in ruling]
        return KeyFacts({"rules": fingerprint("polytune.rules.v3", rules)}, tuple(self.files.values()))

    def _entry(self) -> BaseModelEntry:
        return base_model_of(self.spec.base_model, self.files)

    async def run(self, work: Work) -> Outcome:
        """Stream every file once. Raises DataError, with at most a screenful of findings, on errors."""
        dataset = work.inputs["dataset"]
        report = await asyncio.to_thread(self._check, work, dataset)
        write_whole(work.folder / report_name, to_json(report))
        if not report.passed:
            # Outside the work folder, which the next attempt empties.
            kept = work.folder.parent / f"{work.folder.name.strip('.').partition('.')[0]}-findings.json"
            write_whole(kept, to_json(report))
            raise DataError("\n".join([*render(report), f"All findings: {kept.relative_to(work.root)}"]))
        tokens = {f"{split.split}_tokens": split.tokens.total for split in report.splits}
        facts: Facts = {**dataset.facts, **tokens}
        return Outcome(
            files=(report_name,), passed=dataset.files, facts=facts, metrics=_metrics(report, tokens)
        )

    def _check(self, work: Work, dataset: Artifact) -> CheckReport:
        files = {s: work.path("dataset", f"{s}.jsonl") for s in splits if f"{s}.jsonl" in dataset.files}
        provenance = work.path("dataset", "provenance.jsonl")
        return check_dataset(
            files,
            self._entry(),
            dataset.facts["layout"],
            provenance,
            customization=self.spec.customization,
        )


def _metrics(report: CheckReport, tokens: Mapping[str, int]) -> Facts:
    rows = {f"{split.split}_rows": split.rows for split in report.splits}
    return {"errors": report.errors, "warnings": report.warnings, **rows, **tokens}
