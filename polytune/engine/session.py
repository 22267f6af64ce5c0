"""One run of one experiment: its folder, manifest, events and execution, and the handling of Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import yaml

from polytune import __version__
from polytune.engine.clock import clock_at
from polytune.engine.compiled import CompiledStep
from polytune.engine.events import Listener, Redactor, open_log, secret_values
from polytune.engine.execute import Execution, Tools, new_report
from polytune.engine.jobs import Polling
from polytune.engine.ledger import utc_now
from polytune.engine.locks import holder, shared, try_lock
from polytune.engine.manifest import Consent, GitSource, Manifest, StepCost, row_of, write_manifest
from polytune.engine.plan import Plan, Planner
from polytune.engine.selection import Flags
from polytune.engine.step import Estimate, Step
from polytune.engine.workspace import Workspace, compiled_name, lock_name, manifest_name
from polytune.errors import Busy
from polytune.files import write_whole
from polytune.settings import Settings

stopping = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that stop a run in order: Ctrl-C, a polite kill, and a terminal that is closed."""


@dataclass(frozen=True)
class Session:
    """What all runs of one invocation share."""

    workspace: Workspace
    planner: Planner
    make_step: Callable[[CompiledStep], Step]
    settings: Settings
    listeners: Sequence[Listener]
    max_usd: float | None = None
    """What this invocation may spend at most, within the experiment's budget."""
    consent: Consent = field(default_factory=Consent)
    overrides: tuple[str, ...] = ()
    flags: Flags = field(default_factory=Flags)
    detach: bool = False
    """Whether to return once remote jobs are recorded, instead of waiting for them."""

    def start(self, plan: Plan, estimates: Mapping[str, Estimate]) -> Manifest:
        """Start a new run of the plan and return its final manifest."""
        self.workspace.create()
        manifest = self._new_manifest(plan, estimates)
        folder = self.workspace.run_folder(manifest.experiment, manifest.run_id)
        # First of all files: `resume` continues what was compiled then, even if the file
        # has been edited since.
        write_whole(folder / compiled_name, msgspec.json.encode(plan.compiled))
        spec = yaml.safe_dump(plan.compiled.spec, sort_keys=False, allow_unicode=True, width=100)
        write_whole(folder / "spec.yaml", spec.encode())
        return self._run(plan, manifest, folder)

    def resume(self, plan: Plan, manifest: Manifest) -> Manifest:
        """Continue the run. Raises Busy when a process is still working on it."""
        folder = self.workspace.run_folder(manifest.experiment, manifest.run_id)
        again = msgspec.structs.replace(manifest, status="running", finished_at="", consent=self.consent)
        return self._run(plan, again, folder)

    def _new_manifest(self, plan: Plan, estimates: Mapping[str, Estimate]) -> Manifest:
        compiled = plan.compiled
        reports = {}
        for planned in plan.steps:
            estimate = estimates.get(planned.step.id, Estimate())
            cost = StepCost(estimated_low=estimate.usd_low, estimated_high=estimate.usd_high)
            reports[planned.step.id] = new_report(planned, cost)
        return Manifest(
            run_id=new_run_id(),
            experiment=compiled.name,
            project=compiled.project,
            description=compiled.description,
            tags=compiled.tags,
            status="running",
            rehearsal=self.workspace.rehearsal,
            path=compiled.path,
            spec=compiled.spec,
            origins=compiled.origins,
            flags=self.flags,
            overrides=self.overrides,
            consent=self.consent,
            polytune=__version__,
            python=platform.python_version(),
            host=socket.gethostname(),
            git=git_source((self.workspace.root / compiled.path).parent),
            started_at=utc_now(),
            steps=reports,
            order=tuple(step.id for step in compiled.steps),
        )

    def _run(self, plan: Plan, manifest: Manifest, folder: Path) -> Manifest:
        ledger = self.planner.ledger
        with ExitStack() as stack:
            # From here on `gc` sees the run, and keeps whatever it may reuse.
            with shared(self.workspace.removal_lock):
                what = f"{manifest.experiment}/{manifest.run_id}"
                if stack.enter_context(try_lock(folder / lock_name, what)) is None:
                    raise Busy(f"{manifest.run_id} is in use by {holder(folder / lock_name)}")
                # Before the ledger lists the run, so that a listed run always has a manifest.
                write_manifest(folder / manifest_name, manifest)
                ledger.record_run(row_of(manifest, folder, self.workspace))
            finished = self._execute(plan, manifest, folder)
            ledger.record_run(row_of(finished, folder, self.workspace))
            return finished

    def _execute(self, plan: Plan, manifest: Manifest, folder: Path) -> Manifest:
        references = (reference for step in plan.compiled.steps for reference in step.secrets.values())
        redact = Redactor(secret_values(self.settings.environment, references))
        with open_log(folder / "events.jsonl", redact, self.listeners) as log:
            started = time.monotonic()
            run = {"experiment": manifest.experiment, "run_id": manifest.run_id}
            log.info("run_started", **run, steps=list(manifest.order))
            tools = Tools(
                workspace=self.workspace,
                planner=self.planner,
                make_step=self.make_step,
                log=log,
                redact=redact.text,
                polling=Polling(
                    clock=clock_at(self.settings.clock_url),
                    poll_seconds=self.settings.poll_seconds,
                    detach=self.detach,
                ),
                max_usd=self.max_usd,
            )
            finished = asyncio.run(_interruptible(Execution(plan, manifest, tools)))
            log.info("run_finished", status=finished.status, seconds=round(time.monotonic() - started, 3))
            return finished


async def _interruptible(execution: Execution) -> Manifest:
    """Run the execution. The first of the `stopping` signals stops it in order, the second at once."""
    running = asyncio.ensure_future(execution.run())
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        for number in stopping:
            # At any moment the files and the ledger are in a consistent state, so exiting at once is safe.
            loop.add_signal_handler(number, os._exit, 130)
        running.cancel()

    for number in stopping:
        # `nohup` ignores the end of the terminal, and means it.
        if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
            continue
        loop.add_signal_handler(number, interrupt)
    return await running


def new_run_id() -> str:
    """Return an id that sorts by time (UTC, to the millisecond) and differs between processes."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}-{secrets.token_hex(2)}"


def git_source(folder: Path) -> GitSource:
    """Return the commit of a folder and whether tracked files differ from it; empty outside git."""
    commit = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no") if commit else ""
    return GitSource(commit=commit, dirty=bool(changed))


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
