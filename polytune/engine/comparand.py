"""The two things a comparison is made of: a run as its manifest tells it, or a file as it was compiled.

A run's steps have outputs and figures; a file's steps have key records, as far as the ledger knows what
feeds them, and nothing more.
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
"""How a recorded spec leads from `runs/<experiment>/<run-id>/` to the workspace."""


@dataclass(frozen=True)
class ComparandStep:
    """One step of one side."""

    id: str
    kind: str
    record: KeyRecord | None
    """What was hashed; None when the run did not come to this step. Inputs still to be made are left out."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Path of each file the spec names, by the field that names it; relative to the workspace if inside."""
    feeds: Mapping[str, str] = field(default_factory=dict)
    """The step behind each port, where that is known."""
    output_digest: str = ""
    """'' when nothing has been made, or nothing is known of it."""
    report: StepReport | None = None
    """None when the side is a file."""

    @property
    def complete(self) -> bool:
        """Whether this side's run has the step's output."""
        return self.report is not None and self.report.status.complete


@dataclass(frozen=True)
class Comparand:
    """One of the two things compared."""

    experiment: str
    run_id: str
    """'' when the side is a file."""
    path: str
    """The experiment file, relative to the workspace if inside."""
    spec: Facts
    origins: Mapping[str, str]
    order: tuple[str, ...]
    steps: Mapping[str, ComparandStep]
    store: Store
    rehearsal: bool = False
    """Whether an emulator stood in for the cloud."""

    @property
    def is_run(self) -> bool:
        """Whether something was done here, and may be counted."""
        return bool(self.run_id)

    @property
    def name(self) -> str:
        """`experiment/run` as records write it, or the file's path."""
        return f"{self.experiment}/{self.run_id}" if self.is_run else self.path

    def content(self, digest: str, path: str) -> Path | None:
        """A file with exactly that content, from the store or in place; None when there is none any more."""
        if not digest:
            return None
        if self.store.holds(digest):
            return self.store.object_path(digest)
        place = self.store.workspace.root / path
        return place if self.store.memory.digest(place) == digest else None

    def output(self, step: str, file: str) -> Path | None:
        """One output file of a step, sound; None when the step made none, or it is gone."""
        entry = self.entries(step).get(file)
        return self.content(entry.digest, entry.path) if entry else None

    def entries(self, step: str) -> Mapping[str, FileEntry]:
        """The output files of a step of a run, by name; empty when it made none."""
        found = self.steps.get(step)
        output = found.report.output if found is not None and found.report is not None else None
        return output.files if output is not None else {}


def comparand_of_run(manifest: Manifest, store: Store) -> Comparand:
    """The side that a run's manifest tells of."""
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
        feeds={port: made[digest] for port, digest in report.inputs.items() if digest in made},
        output_digest=report.output_digest if report.status.complete else "",
        report=report,
    )


def _path(spec: Facts, field: str) -> str:
    """The file that a field of a recorded step names, relative to the workspace if inside."""
    value: object = spec
    for key in field.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value.removeprefix(run_folder_to_root) if isinstance(value, str) else field


def comparand_of_file(compiled: Compiled, planner: Planner) -> Comparand:
    """The side that an experiment file would be. Raises StepFailed when a file that it names is gone."""
    steps: dict[str, ComparandStep] = {}
    for step in compiled.steps:
        steps[step.id] = _compiled(step, steps, planner)
    workspace = planner.store.workspace
    return Comparand(
        experiment=compiled.name,
        run_id="",
        path=workspace.relative(Path(compiled.path)),
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
    result = planner.ledger.result(record.key) if len(known) == len(digests) else None
    return ComparandStep(
        id=step.id,
        kind=step.kind,
        record=record,
        files=step.files,
        feeds=step.inputs,
        output_digest=result.artifact.digest if result else "",
    )
