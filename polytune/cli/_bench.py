"""Steps at work outside any run: in a folder that goes away, with the workspace's real answer memory."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from polytune.cli.lines import PlainLines
from polytune.engine.answers import AnswerMemory
from polytune.engine.artifacts import Artifact, FileEntry
from polytune.engine.budget import Budget, BudgetLimits
from polytune.engine.clock import clock_at
from polytune.engine.compiled import Compiled, CompiledStep
from polytune.engine.jobbook import JobBook
from polytune.engine.jobs import Jobs, Polling
from polytune.engine.ledger import Usage
from polytune.engine.step import Outcome, Progress, Work
from polytune.errors import DataError
from polytune.files import digest_of
from polytune.wiring import OpenWorkspace


@dataclass(frozen=True)
class Made:
    """What the steps made, by step id; its files lie in the bench's folder."""

    folder: Path
    artifacts: Mapping[str, Artifact]
    kinds: Mapping[str, str]
    """The kind of each step."""
    usage: Usage
    refusal: str = ""
    """What the last step had against the rows; '' when it let them pass."""

    def file(self, artifact: str, name: str) -> Path | None:
        """The file of that name of the last artifact of a type; None when there is none."""
        for made in reversed(tuple(self.artifacts.values())):
            if made.type == artifact and name in made.files:
                return self.folder / made.files[name].path
        return None


@dataclass
class Bench:
    """Runs steps of one experiment, in order."""

    opened: OpenWorkspace
    compiled: Compiled
    folder: Path
    allowed_usd: float | None
    _artifacts: dict[str, Artifact] = field(default_factory=dict)

    async def work(self, steps: Sequence[CompiledStep]) -> Made:
        """Every step has run, or the last one has refused the rows. Raises what the others raise."""
        spent = self.opened.ledger.spent_usd(self.compiled.name)
        listener = PlainLines(sys.stderr)
        usage, refusal = Usage(), ""
        async with AnswerMemory(self.opened.ledger, self.compiled.name) as answers:
            for step in steps:

                def tell(progress: Progress, step: CompiledStep = step) -> None:
                    listener({"event": "step_progress", "step": step.id, **msgspec.structs.asdict(progress)})

                work = Work(
                    inputs={port: self._artifacts[source] for port, source in step.inputs.items()},
                    folder=self._empty_folder(step),
                    answers=answers,
                    jobs=self._jobs(step),
                    report=tell,
                    budget=Budget(self._left(spent)),
                    root=self.folder,
                )
                try:
                    outcome = await self.opened.step_factory(self.compiled).step(step).run(work)
                except DataError as error:
                    if step.produces != "CheckedDataset":
                        raise
                    refusal = str(error)
                    continue
                self._artifacts[step.id] = self._artifact(step, outcome)
                if outcome.usage.requests or outcome.usage.reused:
                    usage = outcome.usage
        kinds = {step.id: step.kind for step in steps}
        return Made(self.folder, self._artifacts, kinds, usage, refusal)

    def _empty_folder(self, step: CompiledStep) -> Path:
        folder = self.folder / step.id
        folder.mkdir()
        return folder

    def _jobs(self, step: CompiledStep) -> Jobs:
        settings = self.opened.settings
        polling = Polling(clock=clock_at(settings.clock_url), poll_seconds=settings.poll_seconds)
        return Jobs(
            JobBook(self.opened.ledger),
            f"preview-{step.id}",
            step.id,
            polling=polling,
            forced=False,
            detached=lambda stop: None,
        )

    def _left(self, spent_before: float) -> BudgetLimits:
        ledger, allowed = self.opened.ledger, self.allowed_usd
        spent = ledger.spent(self.compiled.name)
        left = None if allowed is None else max(0.0, allowed - (spent.usd - spent_before))
        return self.compiled.budget.remaining(spent, left)

    def _artifact(self, step: CompiledStep, outcome: Outcome) -> Artifact:
        files = dict(outcome.passed)
        for name in outcome.files:
            path = self.folder / step.id / name
            size = path.stat().st_size
            files[name] = FileEntry(path=f"{step.id}/{name}", digest=digest_of(path), bytes=size)
        return Artifact(type=step.produces, files=files, facts=dict(outcome.facts))
