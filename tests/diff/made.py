"""What the tests of `diff` compare: a workspace with a small prompt library, and hand-made manifests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from polytune.engine.artifacts import Artifact, Facts, FileEntry, KeyRecord
from polytune.engine.comparand import Comparand, comparand_of_run
from polytune.engine.filememory import FileMemory
from polytune.engine.ledger import Ledger, Usage
from polytune.engine.manifest import GitSource, Manifest, StepCost, StepReport, StepStatus
from polytune.engine.store import Store
from polytune.engine.workspace import Workspace
from polytune.evaluation.results import (
    EvaluatedPrompt,
    GraderResult,
    JudgedAnswer,
    Score,
    Verdict,
    evaluation_metrics,
)
from polytune.evaluation.significance import compare
from tests.pipeline.program import Program

prompts = """\
system: |
  You write music in Strudel.
  Reply with code and nothing else.
short_system: You write Strudel.
templates:
  - Write a {{ complexity }} {{ style }} loop at {{ tempo }} bpm.
  - A {{ complexity }} {{ style }} groove, {{ tempo }} bpm.
slots:
  tempo: [90, 100, 110, 120, 130, 140, 150]
"""

base = """\
name: base
project: strudel
seed: 7
steps:
  generate:
    prompts: ../prompts/small.yaml
    teacher: {kind: composer}
    count: 12
    matrix: {style: [techno, jazz], complexity: [simple, medium]}
  format:
    layout: bedrock-conversation-2024
    system: short
    split: {train: 0.5, validation: 0.25, test: 0.25}
"""

grown = """\
extends: base.yaml
name: grown
steps:
  generate: {count: 20}
  validate: {base_model: tiny-llama}
"""

run_id = re.compile(r"\d{8}T\d{9}-[0-9a-f]{4}")


@dataclass(frozen=True)
class Bench:
    """A workspace of its own, and the program in it."""

    program: Program

    @property
    def root(self) -> Path:
        return self.program.root

    def write(self, name: str, text: str) -> Path:
        """A file below the workspace holds the text."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def ran(self, name: str, *words: str) -> str:
        """The id of a new run of an experiment, which must succeed."""
        found: str = self.program.run(f"experiments/{name}.yaml", *words)["run_id"]
        return found


def open_bench(root: Path) -> Bench:
    """A workspace with the prompt library and two experiments."""
    (root / "runs").mkdir(parents=True)
    bench = Bench(Program(root))
    bench.write("prompts/small.yaml", prompts)
    bench.write("experiments/base.yaml", base)
    bench.write("experiments/grown.yaml", grown)
    return bench


def anonymous(text: str) -> str:
    """The text with run ids numbered in order of appearance."""
    seen: dict[str, str] = {}
    return run_id.sub(lambda match: seen.setdefault(match[0], f"RUN-{len(seen) + 1}"), text)


class Shelf:
    """A workspace for hand-made runs: writes their outputs and tells of them."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(root)
        self.workspace.create()
        self.ledger = Ledger.open(self.workspace.ledger)
        self.store = Store(self.workspace, FileMemory(self.ledger))

    def artifact(self, run: str, step: str, files: Mapping[str, str], kind: str, facts: Facts) -> Artifact:
        """The files are in place and in the store."""
        entries = {}
        for name, text in files.items():
            path = self.workspace.run_folder("made", run) / step / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            place = self.workspace.relative(path)
            size = path.stat().st_size
            entries[name] = FileEntry(
                path=place, digest=self.store.put(path), bytes=size, records=text.count("\n")
            )
        return Artifact(type=kind, files=entries, facts=facts)

    def side(self, run: str, steps: Mapping[str, StepReport], spec: Facts | None = None) -> Comparand:
        """The side that these steps make."""
        stated = {name: report.record.spec if report.record else {} for name, report in steps.items()}
        manifest = Manifest(
            run_id=run,
            experiment="made",
            status="done",
            path="made.yaml",
            spec={"steps": stated} if spec is None else spec,
            origins={},
            polytune="0",
            python="3",
            host="here",
            git=GitSource(),
            started_at="2026-01-01T00:00:00.000Z",
            steps=dict(steps),
            order=tuple(steps),
        )
        return comparand_of_run(manifest, self.store)


def report(
    kind: str,
    spec: Facts | None = None,
    *,
    after: Sequence[StepReport] = (),
    output: Artifact | None = None,
    status: StepStatus = StepStatus.DONE,
    version: int = 1,
    metrics: Facts | None = None,
    usage: Usage | None = None,
    usd: float | None = 0.0,
) -> StepReport:
    """A step's report; without an output it has one that follows from its key."""
    inputs = {before.kind: before.output_digest for before in after}
    record = KeyRecord(kind=kind, version=version, spec=spec or {}, inputs=inputs, files={}, facts={})
    made = output or Artifact(type=kind.title(), files={}, facts={"key": record.key})
    return StepReport(
        kind=kind,
        status=status,
        key=record.key,
        record=record,
        inputs=inputs,
        output=made if status.complete else None,
        output_digest=made.digest if status.complete else "",
        metrics=metrics or {},
        usage=usage or Usage(),
        cost=StepCost(actual=usd),
    )


def answers(verdicts: Mapping[str, bool], cells: Mapping[str, str] | None = None) -> str:
    """An `answers.jsonl` in which the custom model passes or fails each prompt."""
    rows = [
        EvaluatedPrompt(
            line=number,
            prompt=prompt,
            reference="",
            cell={"style": (cells or {}).get(prompt, "any")},
            answers={
                "custom": JudgedAnswer(text="", verdicts={"strudel": Verdict(passed=passed, score=1.0)})
            },
        )
        for number, (prompt, passed) in enumerate(verdicts.items(), 1)
    ]
    return "".join(f"{msgspec.json.encode(row).decode()}\n" for row in rows)


def scores(verdicts: Mapping[str, bool], judged_by: str = "checker 1") -> Facts:
    """An evaluation's metrics for those verdicts."""
    score = Score(passed=sum(verdicts.values()), n=len(verdicts), mean=0.0)
    passed = list(verdicts.values())
    result = GraderResult(
        judged_by=judged_by, scores={"custom": score}, custom_versus_nearest=compare(passed, passed)
    )
    return evaluation_metrics({"strudel": result}, base_is_untrained=False)
