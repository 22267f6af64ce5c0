"""One side of a comparison: a run, read from its manifest, or an experiment file, as compiled.

The steps of a run have outputs and metrics. The steps of a file have only key records, as far as the ledger
knows their inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from polytune.engine.artifacts import Facts, FileEntry, KeyRecord
from polytune.engine.compiled import Compiled, CompiledStep
from polytune.engine.manifest import Manifest, StepReport
from polytune.engine.plan import Planner
from polytune.engine.store import Store

run_folder_to_root = "../../../"
"""Prefix of paths in a recorded spec: from `runs/<experiment>/<run-id>/` to the workspace."""


@dataclass(frozen=True)
class ComparandStep:
    """One step of one side of a comparison."""

    id: str
    kind: str
    record: KeyRecord | None
    """What was hashed, without inputs that do not exist yet. None if the run never reached this step."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Path of each file the spec names, by field name; relative to the workspace if inside it."""
    feeds: Mapping[str, str] = field(default_factory=dict)
    """The step that feeds each port, where known."""
    output_digest: str = ""
    """'' when no output exists or none is known."""
    report: StepReport | None = None
    """None for the side of a file."""

    @property
    def complete(self) -> bool:
        """Whether this side's run has the step's output."""
        return self.report is not None and self.report.status.complete


@dataclass(frozen=True)
class Comparand:
    """One side of a comparison."""

    experiment: str
    run_id: str
    """'' for an experiment file."""
    path: str
    """The experiment file; relative to the workspace if inside it."""
    spec: Facts
    origins: Mapping[str, str]
    order: tuple[str, ...]
    steps: Mapping[str, ComparandStep]
    store: Store
    rehearsal: bool = False
    """Whether the run used an emulator instead of the cloud."""

    @property
    def is_run(self) -> bool:
        """Whether this side is a run, and so has metrics and costs."""
        return bool(self.run_id)

    @property
    def name(self) -> str:
        """`experiment/run`, or the path of the file."""
        return f"{self.experiment}/{self.run_id}" if self.is_run else self.path

    def content(self, digest: str, path: str) -> Path | None:
        """Return a file with exactly that content, from the store or in place; None when there is none."""
        if not digest:
            return None
        # The store first: an output in place may have been overwritten since that run, by the user
        # or a later step.
        if self.store.holds(digest):
            return self.store.object_path(digest)
        place = self.store.workspace.root / path
        return place if self.store.memory.digest(place) == digest else None

    def output(self, step: str, file: str) -> Path | None:
        """Return an intact output file of a step; None when the step made none or it is gone."""
        entry = self.entries(step).get(file)
        return self.content(entry.digest, entry.path) if entry else None

    def entries(self, step: str) -> Mapping[str, FileEntry]:
        """Return the output files of a run's step, by name; empty when there are none."""
        found = self.steps.get(step)
        output = found.report.output if found is not None and found.report is not None else None
        return output.files if output is not None else {}


def comparand_of_run(manifest: Manifest, store: Store) -> Comparand:
    """Return the comparand of a run, from its manifest."""
    made = {report.output_digest: name for name, report in manifest.steps.items() if report.output_digest}
    steps = {name: _reported(name, report, manifest.spec, made) for name, report in manifest.steps.items()}
    return Comparand(
        experiment=manifest.experiment,
        run_id=manifest.run_id,
        path=manifest.path,
        spec=manifest.spec,
        origins=manifest.origins,
        order=manifest.order,
        steps=steps,
        store=store,
        rehearsal=manifest.rehearsal,
    )


def _reported(name: str, report: StepReport, spec: Facts, made: Mapping[str, str]) -> ComparandStep:
    record = report.record
    stated = spec.get("steps", {}).get(name, {})
    return ComparandStep(
        id=name,
        kind=report.kind,
        record=record,
        files={field: _path(stated, field) for field in (record.files if record else {})},
        # The manifest records digests, not wiring. An input that another run made has no step here.
        feeds={port: made[digest] for port, digest in report.inputs.items() if digest in made},
        output_digest=report.output_digest if report.status.complete else "",
        report=report,
    )


def _path(spec: Facts, field: str) -> str:
    """Return the file that a field of a recorded step names; relative to the workspace if inside it."""
    value: object = spec
    for key in field.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    # The two sides lie in different run folders; only paths from the workspace can be compared.
    return value.removeprefix(run_folder_to_root) if isinstance(value, str) else field


def comparand_of_file(compiled: Compiled, planner: Planner) -> Comparand:
    """Return the comparand of an experiment file. Raises StepFailed when a file that it names is missing."""
    steps: dict[str, ComparandStep] = {}
    for step in compiled.steps:
        steps[step.id] = _compiled(step, steps, planner)
    return Comparand(
        experiment=compiled.name,
        run_id="",
        path=compiled.path,
        spec=compiled.spec,
        origins=compiled.origins,
        order=tuple(steps),
        steps=steps,
        store=planner.store,
    )


def _compiled(step: CompiledStep, before: Mapping[str, ComparandStep], planner: Planner) -> ComparandStep:
    digests = {port: before[name].output_digest for port, name in step.inputs.items()}
    known = {port: digest for port, digest in digests.items() if digest}
    record = planner.record(step, known)
    # With an input missing, the record is partial and its digest is nobody's key.
    result = planner.ledger.result(record.key) if len(known) == len(digests) else None
    return ComparandStep(
        id=step.id,
        kind=step.kind,
        record=record,
        files=step.files,
        feeds=step.inputs,
        output_digest=result.artifact.digest if result else "",
    )
