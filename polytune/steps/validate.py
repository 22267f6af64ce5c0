"""validate: a dataset against its format and the base model's rules, before anything is sent or paid."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator

from polytune.base_models.interface import BaseModelEntry, checked_base_model, find_base_model
from polytune.data.checking import check_dataset
from polytune.data.report import CheckReport, render, to_json
from polytune.engine.artifacts import Artifact, Facts
from polytune.engine.step import KeyFacts, Outcome, Port, Scope, Step, Work
from polytune.errors import DataError
from polytune.files import write_whole
from polytune.fingerprint import fingerprint
from polytune.spec.model import Adopted, CatalogueName, Spec

splits = ("train", "validation", "test")
report_name = "validation.json"


class ValidateSpec(Spec):
    """Checks every row; errors stop the run."""

    base_model: Annotated[
        str,
        CatalogueName("base_models", is_closed=False),
        Adopted(),
        AfterValidator(checked_base_model),
    ]
    """Whose rules apply; taken from the step that trains when not stated."""


class Validate(Step):
    """A checked dataset: the same files, and `validation.json` with all findings and statistics."""

    version = 1
    Spec = ValidateSpec
    consumes: ClassVar = {"dataset": Port(("Dataset",))}
    produces = "CheckedDataset"

    def __init__(self, spec: ValidateSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.spec = spec

    def key_facts(self) -> KeyFacts:
        """The base model's facts that rules are made of."""
        entry = self._entry()
        stated = f"{entry.limits} {entry.reserved} {entry.blocks} {entry.formats}"
        return KeyFacts({"rules": fingerprint("polytune.rules.v1", stated)})

    def _entry(self) -> BaseModelEntry:
        return find_base_model(self.spec.base_model, self.scope.folder)

    async def run(self, work: Work) -> Outcome:
        """Streams every file once. Raises DataError with at most a screenful when there are errors."""
        dataset = work.inputs["dataset"]
        report = await asyncio.to_thread(self._check, work, dataset)
        write_whole(work.folder / report_name, to_json(report))
        if not report.passed:
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
        return check_dataset(files, self._entry(), dataset.facts["layout"], provenance)


def _metrics(report: CheckReport, tokens: Mapping[str, int]) -> Facts:
    rows = {f"{split.split}_rows": split.rows for split in report.splits}
    return {"errors": report.errors, "warnings": report.warnings, **rows, **tokens}
