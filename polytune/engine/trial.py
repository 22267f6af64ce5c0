"""Runs steps outside any run: in a temporary folder, with the workspace's real answer memory and budget.

Nothing is published or recorded except the answers that were paid for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polytune.engine.answers import AnswerMemory
from polytune.engine.artifacts import Artifact, FileEntry
from polytune.engine.budget import Budget, BudgetLimits
from polytune.engine.clock import clock_at
from polytune.engine.compiled import Compiled, CompiledStep
from polytune.engine.jobbook import JobBook
from polytune.engine.jobs import Jobs, Polling
from polytune.engine.ledger import Ledger, Usage
from polytune.engine.step import Outcome, Progress, Step, Work
from polytune.errors import DataError
from polytune.files import digest_of
from polytune.settings import Settings

judging_type = "CheckedDataset"
"""The artifact type of a step that may reject the data; its findings are wanted too."""


@dataclass(frozen=True)
class TrialResult:
    """What the steps made, by step id; paths are relative to the trial's folder."""

    folder: Path
    artifacts: Mapping[str, Artifact]
    usage: Usage

    def file(self, artifact: str, name: str) -> Path | None:
        """Return the file with that name from the last artifact of a type; None when there is none."""
        for made in reversed(tuple(self.artifacts.values())):
            if made.type == artifact and name in made.files:
                return self.folder / made.files[name].path
        return None


@dataclass
class Trial:
    """Runs steps of one experiment in order, in an existing empty folder."""

    compiled: Compiled
    folder: Path
    ledger: Ledger
    settings: Settings
    make_step: Callable[[CompiledStep], Step]
    report: Callable[[CompiledStep, Progress], None]
    max_usd: float | None = None
    """A limit in addition to the experiment's own; None for none."""

    async def run(self, steps: Sequence[CompiledStep]) -> TrialResult:
        """Run every step. A checking step that rejects the data is skipped; other errors are raised."""
        spent_before = self.ledger.spent_usd(self.compiled.name)
        artifacts: dict[str, Artifact] = {}
        usage = Usage()
        async with AnswerMemory(self.ledger, self.compiled.name) as answers:
            for step in steps:
                inputs = {port: artifacts[source] for port, source in step.inputs.items()}
                work = self._work(step, inputs, answers, self._left(spent_before))
                try:
                    outcome = await self.make_step(step).run(work)
                # A preview shows findings rather than stop at them; its few samples may also
                # miss a format's minimum.
                except DataError:
                    if step.produces != judging_type:
                        raise
                    continue
                artifacts[step.id] = self._artifact(step, outcome)
                if outcome.usage.requests or outcome.usage.reused:
                    usage = outcome.usage
        return TrialResult(self.folder, artifacts, usage)

    def _work(
        self,
        step: CompiledStep,
        inputs: Mapping[str, Artifact],
        answers: AnswerMemory,
        limits: BudgetLimits,
    ) -> Work:
        folder = self.folder / step.id
        folder.mkdir()
        return Work(
            inputs=inputs,
            folder=folder,
            answers=answers,
            jobs=self._jobs(step),
            report=lambda progress: self.report(step, progress),
            budget=Budget(limits),
            root=self.folder,
        )

    def _jobs(self, step: CompiledStep) -> Jobs:
        settings = self.settings
        return Jobs(
            JobBook(self.ledger),
            # A separate key, so that a job of a trial is never taken for the job of a run.
            f"preview-{step.id}",
            step.id,
            polling=Polling(clock=clock_at(settings.clock_url), poll_seconds=settings.poll_seconds),
            forced=False,
            detached=lambda stop: None,
        )

    def _left(self, spent_before: float) -> BudgetLimits:
        """Return what may still be spent, after what earlier steps of the trial have spent."""
        spent = self.ledger.spent(self.compiled.name)
        left = None if self.max_usd is None else max(0.0, self.max_usd - (spent.usd - spent_before))
        return self.compiled.budget.remaining(spent, left)

    def _artifact(self, step: CompiledStep, outcome: Outcome) -> Artifact:
        files = dict(outcome.passed)
        for name in outcome.files:
            path = self.folder / step.id / name
            size = path.stat().st_size
            files[name] = FileEntry(path=f"{step.id}/{name}", digest=digest_of(path), bytes=size)
        return Artifact(type=step.produces, files=files, facts=dict(outcome.facts))
