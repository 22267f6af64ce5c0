"""Executes a plan: each step starts as soon as its inputs exist, and is published before it is recorded.

For each step: lock its key, check the ledger again, and only then run it. Outputs are written to a separate
folder, copied to the store and renamed into place. Then the ledger records the result, and last the manifest.
A crash at any point leaves either the old state or the new one.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from polytune.engine.answers import AnswerMemory
from polytune.engine.artifacts import Artifact, FileEntry, KeyRecord, changes
from polytune.engine.budget import Budget, BudgetLimits
from polytune.engine.compiled import Compiled, CompiledStep
from polytune.engine.filememory import fine_clock_ns
from polytune.engine.jobbook import JobBook
from polytune.engine.jobs import Jobs, Polling
from polytune.engine.ledger import Result, Usage, utc_now
from polytune.engine.locks import holder, try_lock
from polytune.engine.manifest import Manifest, StepCost, StepReport, StepStatus, write_manifest
from polytune.engine.plan import Plan, PlannedStep, Planner, StepState, reason, telling
from polytune.engine.step import Outcome, Progress, Step, Work
from polytune.engine.store import Store
from polytune.engine.workspace import Workspace, manifest_name
from polytune.errors import Detached, Paused, PolytuneError, StepFailed
from polytune.files import remove_tree, sync_folder

# flock has no asynchronous wait, and a blocking one would occupy a thread until the other run is done.
lock_poll_seconds = 0.2
largest_kept_input_bytes = 4 << 20
"""Larger files are data that no one compares by eye. Their digests are in the record anyway."""


class Log(Protocol):
    """Receives events: a name from the documented vocabulary, and its fields."""

    def info(self, event: str, **fields: object) -> object:
        """Write the event."""


@dataclass(frozen=True)
class Tools:
    """What an execution needs."""

    workspace: Workspace
    planner: Planner
    make_step: Callable[[CompiledStep], Step]
    log: Log
    redact: Callable[[str], str]
    """Returns a text without secret values."""
    polling: Polling
    max_usd: float | None


class Execution:
    """One run of one experiment, from a plan to a finished manifest."""

    def __init__(self, plan: Plan, manifest: Manifest, tools: Tools) -> None:
        self.plan = plan
        self.compiled: Compiled = plan.compiled
        self.tools = tools
        self.store: Store = tools.planner.store
        self.ledger = tools.planner.ledger
        self.manifest = manifest
        self.folder = tools.workspace.run_folder(manifest.experiment, manifest.run_id)
        self.budget = Budget(self._allowed())
        self._artifacts: dict[str, Artifact] = {}

    async def run(self) -> Manifest:
        """Run every selected step; the manifest records each as done, cached, failed, skipped or stopped."""
        waiting: dict[str, asyncio.Task[None]] = {}
        for step in self.compiled.steps:
            before = [waiting[name] for name in step.after]
            waiting[step.id] = asyncio.create_task(self._when_ready(step, before), name=step.id)
        try:
            await asyncio.gather(*waiting.values())
        except asyncio.CancelledError:
            for task in waiting.values():
                task.cancel()
            # Every step writes its own end into the manifest before the run's status is set.
            await asyncio.gather(*waiting.values(), return_exceptions=True)
            return self._finish("stopped")
        return self._finish(self._status())

    def _status(self) -> str:
        """Return the status of the run: that of its worst step."""
        ends = {report.status for report in self.manifest.steps.values()}
        if StepStatus.FAILED in ends:
            return "failed"
        if StepStatus.STOPPED in ends:
            return "paused"
        return "waiting" if StepStatus.WAITING in ends else "done"

    def _finish(self, status: str) -> Manifest:
        self.manifest = msgspec.structs.replace(self.manifest, status=status, finished_at=utc_now())
        self._write()
        return self.manifest

    async def _when_ready(self, step: CompiledStep, before: list[asyncio.Task[None]]) -> None:
        try:
            if before:
                await asyncio.wait(before)
            await self._attend(step)
        # However the step ends, the manifest must say so: `resume` reads it.
        except asyncio.CancelledError:
            # A cancellation can arrive after the result was recorded; the step is done then.
            if not self.manifest.steps[step.id].status.complete:
                self._note(step, status=StepStatus.STOPPED, message="stopped before it finished")
            raise
        except Detached as left:
            self.tools.log.info("step_left", step=step.id, message=str(left))
            self._note(step, status=StepStatus.WAITING, message=str(left))
        except Paused as pause:
            message = self.tools.redact(str(pause))
            self.tools.log.info("step_paused", step=step.id, message=message)
            self._note(step, status=StepStatus.STOPPED, message=message)
        except Exception as error:
            # The step boundary: a bug in one step must not stop the others.
            message = _deliberate(error)
            if not message:
                self.tools.log.info("step_crashed", step=step.id, error=repr(error), exc_info=True)
                message = f"{type(error).__name__}: {error} (a bug in polytune or in a plugin)"
            self._fail(step, message)

    def _fail(self, step: CompiledStep, told: str) -> None:
        message = self.tools.redact(told)
        self.tools.log.info("step_failed", step=step.id, message=message)
        self._note(step, status=StepStatus.FAILED, message=message, finished_at=utc_now())

    async def _attend(self, step: CompiledStep) -> None:
        lacking = [name for name in step.after if name not in self._artifacts]
        planned = self.plan.step(step.id)
        unselected = planned.state is StepState.SKIP
        # A step behind a paused one stays pending rather than skipped, so that `resume` continues with it.
        if not unselected and any(self.manifest.steps[name].status.open for name in lacking):
            return
        if lacking or unselected:
            message = "not selected" if unselected else f"{', '.join(lacking)} did not finish"
            self.tools.log.info("step_skipped", step=step.id, message=message)
            self._note(step, status=StepStatus.SKIPPED, message=message)
            return
        await self._locked(step, planned)

    async def _locked(self, step: CompiledStep, planned: PlannedStep) -> None:
        """Run the step while holding its key's lock. A run that had to wait finds the other run's output."""
        what = f"{self.manifest.experiment}/{self.manifest.run_id} {step.id}"
        told = False
        while True:
            record = self._record(step)
            path = self.tools.workspace.locks / record.key
            with try_lock(path, what) as lock:
                # An input may have been edited while this run waited: the lock is then one of another key.
                if lock is not None and self._record(step) == record:
                    await self._once(step, planned, record)
                    return
            if lock is not None:
                continue
            if not told:
                self.tools.log.info("step_waiting", step=step.id, holder=str(holder(path) or "another run"))
                told = True
            await asyncio.sleep(lock_poll_seconds)

    def _record(self, step: CompiledStep) -> KeyRecord:
        from_steps = {port: self._artifacts[name].digest for port, name in step.inputs.items()}
        return self.tools.planner.record(step, from_steps)

    async def _once(self, step: CompiledStep, planned: PlannedStep, record: KeyRecord) -> None:
        forced = step.id in self.tools.planner.selection.force
        # Plan again under the lock: another run may have produced the output since the plan was shown.
        now = self.tools.planner.now(self.compiled, step, record, self._inputs(step))
        if now.result is not None and now.state.settled:
            await self._reuse(step, now, now.result)
            return
        if now.state is StepState.BLOCKED:
            raise StepFailed("; ".join(now.because))
        reasons = now.because or planned.because
        self._say_what_changed(step, planned, record)
        self._note(
            step,
            status=StepStatus.RUNNING,
            key=record.key,
            record=record,
            because=reasons,
            inputs=record.inputs,
            started_at=utc_now(),
            attempts=self.manifest.steps[step.id].attempts + 1,
        )
        self.tools.log.info("step_started", step=step.id, kind=step.kind, because=list(reasons))
        await self._work(step, record, forced=forced)

    def _say_what_changed(self, step: CompiledStep, planned: PlannedStep, record: KeyRecord) -> None:
        """Report what was edited since the plan, or since an earlier attempt of the run that is resumed."""
        unplanned = msgspec.structs.replace(record, facts=step.facts)
        before = self.manifest.steps[step.id].record or planned.record or unplanned
        differing = _edits(before, record, step)
        if differing:
            self.tools.log.info("step_replanned", step=step.id, because=differing)

    def _inputs(self, step: CompiledStep) -> dict[str, Artifact]:
        return {port: self._artifacts[name] for port, name in step.inputs.items()}

    async def _reuse(self, step: CompiledStep, now: PlannedStep, result: Result) -> None:
        if now.state is StepState.RESTORE:
            restored = await asyncio.to_thread(self.store.restore, result.artifact)
            paths = [entry.path for entry in restored]
            self.tools.log.info("step_restored", step=step.id, files=paths, because=list(now.because))
        # An accepted result is not in the ledger under the new key yet; later plans need it there.
        if result.accepted:
            self.ledger.record_result(result)
        self._link(step, result)
        self._settle(step, result, StepStatus.CACHED)
        self.tools.log.info("step_cached", step=step.id, from_run=f"{result.experiment}/{result.run_id}")

    async def _work(self, step: CompiledStep, record: KeyRecord, *, forced: bool) -> None:
        started = time.monotonic()
        await asyncio.to_thread(self._keep_inputs, step)
        folder = self.folder / f".{step.id}.partial"
        await asyncio.to_thread(_emptied, folder)
        outcome = await self._outcome(step, record, folder, forced=forced)
        # If an input was edited meanwhile, the output would be stored under a key for the old content.
        if differing := _edits(record, self._record(step), step):
            raise StepFailed(
                f"{', '.join(differing)} while the step was running; its output was discarded. Run again"
            )
        # Files first, then the ledger: a crash in between costs a repeated step, but a ledger that
        # names files which do not exist would be wrong. The answers of the repeated step are
        # remembered, so they cost nothing.
        artifact = await asyncio.to_thread(self._published, step, folder, outcome)
        self._warn(step, outcome)
        result = Result(
            record=record,
            artifact=artifact,
            run_id=self.manifest.run_id,
            experiment=self.manifest.experiment,
            step=step.id,
            finished_at=utc_now(),
            seconds=round(time.monotonic() - started, 3),
            metrics=outcome.metrics,
            resources=dict(outcome.resources),
            usage=outcome.usage,
        )
        self.ledger.record_result(result)
        self._settle(step, result, StepStatus.DONE)
        self.tools.log.info(
            "step_finished", step=step.id, seconds=result.seconds, digest=artifact.digest, **_told(outcome)
        )
        # Only now: until the result is durable, the job's folder is the only copy of what was trained.
        await asyncio.to_thread(self._forget_jobs, record.key)

    def _warn(self, step: CompiledStep, outcome: Outcome) -> None:
        warnings = [self.tools.redact(warning) for warning in outcome.warnings]
        for warning in warnings:
            self.tools.log.info("step_warning", step=step.id, message=warning)
        notes = [*warnings, *map(self.tools.redact, outcome.notes)]
        if notes:
            known = self.manifest.steps[step.id].notes
            self._note(step, notes=tuple(dict.fromkeys((*known, *notes))))

    def _keep_inputs(self, step: CompiledStep) -> None:
        """Store copies of the files that the spec names, so that `diff` can later show their contents."""
        for path in step.files.values():
            file = self.tools.workspace.root / path
            if file.is_file() and file.stat().st_size <= largest_kept_input_bytes:
                self.store.put(file)

    async def _outcome(self, step: CompiledStep, record: KeyRecord, folder: Path, *, forced: bool) -> Outcome:
        what = f"{self.manifest.experiment}/{self.manifest.run_id} {step.id}"
        jobs = Jobs(
            JobBook(self.ledger),
            record.key,
            what,
            polling=self.tools.polling,
            forced=forced,
            detached=lambda stop: self._detached(step, stop),
        )
        async with AnswerMemory(self.ledger, self.manifest.experiment) as answers:
            work = Work(
                inputs=self._inputs(step),
                folder=folder,
                answers=answers,
                jobs=jobs,
                report=lambda progress: self._progress(step, progress),
                budget=self.budget,
                root=self.tools.workspace.root,
                record=record,
            )
            return await self.tools.make_step(step).run(work)

    def _detached(self, step: CompiledStep, stop: str) -> None:
        self.tools.log.info("run_detached", step=step.id, stop=stop)

    def _progress(self, step: CompiledStep, progress: Progress) -> None:
        self.tools.log.info("step_progress", step=step.id, **msgspec.structs.asdict(progress))

    def _allowed(self) -> BudgetLimits:
        """Return what this run may spend beyond what earlier runs have spent."""
        return self.compiled.budget.remaining(self.ledger.spent(self.manifest.experiment), self.tools.max_usd)

    def _published(self, step: CompiledStep, folder: Path, outcome: Outcome) -> Artifact:
        """Move the outcome's files to the store and into place; return the artifact that names them."""
        place = self.folder / step.id
        relative = self.tools.workspace.relative(place)
        # Files written within the last clock tick cannot be remembered by their stamps (see filememory).
        # Waiting 50 ms saves hashing every output again in the next plan.
        time.sleep(fine_clock_ns / 1e9)
        entries = dict(outcome.passed)
        for name, path in _kept(folder, outcome.files):
            # Durable before the rename: a power failure must not leave a correct name with empty content.
            _sync(path)
            digest = self.store.put(path)
            entries[name] = FileEntry(
                path=f"{relative}/{name}",
                digest=digest,
                bytes=path.stat().st_size,
                records=outcome.records.get(name),
            )
        for name, target in outcome.placed.items():
            placed = self.tools.workspace.placed / target
            self.store.place(folder / name, placed)
            shown = self.tools.workspace.relative(placed)
            entries[target] = msgspec.structs.replace(entries[name], path=shown)
        # An earlier attempt of this run may have linked to another run's folder: remove the
        # link, never its target.
        if place.is_symlink():
            place.unlink()
        remove_tree(place)
        folder.rename(place)
        # A rename is durable only once its folder is synced.
        sync_folder(self.folder)
        return Artifact(type=step.produces, files=entries, facts=outcome.facts)

    def _link(self, step: CompiledStep, result: Result) -> None:
        """Make the step's folder in this run a symlink to the folder that holds the cached files."""
        place = self.folder / step.id
        target = self.tools.workspace.run_folder(result.experiment, result.run_id) / result.step
        if place != target and target.is_dir() and not place.exists():
            place.unlink(missing_ok=True)
            # Relative, so that the workspace can be moved.
            place.symlink_to(os.path.relpath(target, place.parent))

    def _settle(self, step: CompiledStep, result: Result, status: StepStatus) -> None:
        self._artifacts[step.id] = result.artifact
        cached = status is StepStatus.CACHED
        was_here = (result.run_id, result.step) == (self.manifest.run_id, step.id)
        report = self.manifest.steps[step.id]
        self._note(
            step,
            status=StepStatus.DONE if was_here else status,
            key=result.record.key,
            record=result.record,
            from_run=f"{result.experiment}/{result.run_id}" if cached and not was_here else "",
            inputs=result.record.inputs,
            output=result.artifact,
            output_digest=result.artifact.digest,
            metrics=result.metrics,
            resources=result.resources,
            usage=result.usage if was_here else Usage(reused=result.usage.requests + result.usage.reused),
            cost=msgspec.structs.replace(report.cost, actual=result.usage.usd if was_here else 0.0),
            finished_at=result.finished_at,
            seconds=result.seconds if was_here else 0.0,
            accepted=result.accepted,
            message="",
        )

    def _note(self, step: CompiledStep, **fields: object) -> None:
        report = msgspec.structs.replace(self.manifest.steps[step.id], **fields)
        steps = {**self.manifest.steps, step.id: report}
        self.manifest = msgspec.structs.replace(self.manifest, steps=steps)
        self._write()

    def _write(self) -> None:
        write_manifest(self.folder / manifest_name, self.manifest)

    def _forget_jobs(self, key: str) -> None:
        """Remove the folder of the step's local job; its outputs are stored."""
        job = JobBook(self.ledger).latest(key)
        if job is not None:
            remove_tree(self.tools.workspace.jobs / job.token)


def _edits(old: KeyRecord, new: KeyRecord, step: CompiledStep) -> list[str]:
    """Return what was edited between two looks at a step's inputs; other steps' outputs do not count."""
    same_inputs = msgspec.structs.replace(old, inputs=new.inputs)
    return [reason(change, step) for change in telling(changes(same_inputs, new))]


def new_report(planned: PlannedStep, cost: StepCost) -> StepReport:
    """Return the report of a step that has not started."""
    return StepReport(kind=planned.step.kind, because=planned.because, cost=cost, notes=planned.step.notes)


def _deliberate(error: Exception) -> str:
    """Return the message of a deliberate error, also from inside a task group; '' for a bug."""
    if isinstance(error, ExceptionGroup):
        told = dict.fromkeys(_deliberate(each) for each in error.exceptions)
        return "; ".join(told) if all(told) else ""
    return str(error) if isinstance(error, PolytuneError) else ""


def _kept(folder: Path, names: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Return each file to keep, with its path in the folder. A folder stands for all files in it."""
    found = []
    for name in names:
        path = folder / name
        if not path.exists():
            raise StepFailed(f"the step did not write '{name}', which it declared as an output")
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        found += [(file.relative_to(folder).as_posix(), file) for file in files]
    return found


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _emptied(folder: Path) -> None:
    remove_tree(folder)
    folder.mkdir(parents=True)


def _told(outcome: Outcome) -> Mapping[str, object]:
    """Return the parts of an outcome that go into the event."""
    told: dict[str, object] = {"metrics": outcome.metrics} if outcome.metrics else {}
    if outcome.usage.requests or outcome.usage.reused:
        told["usage"] = msgspec.structs.asdict(outcome.usage)
    return told
