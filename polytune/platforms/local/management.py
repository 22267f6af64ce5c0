"""This machine as the command line sees it: training jobs of the ledger, and the processes that work on them.

    the ledger's row        which step, when it was last looked at, and how it stood
    runs/.jobs/<token>/     the process at work, or what it left (see engine/processes.py)

Jobs of rehearsals are found by their tokens too, and never listed.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import ClassVar

import msgspec

from polytune.engine.jobbook import JobBook, JobRow, JobState
from polytune.engine.jobs import Look
from polytune.engine.ledger import Ledger
from polytune.engine.processes import ProcessDriver, alive, stop
from polytune.engine.workspace import Workspace
from polytune.errors import DataError, UsageError
from polytune.platforms.local.platform import LocalSpec, needed
from polytune.platforms.management import (
    Curve,
    Curves,
    JobListing,
    ManagedJob,
    Management,
    PlatformUse,
    PreflightCheck,
    ok,
    wrong,
)
from polytune.training.protocol import PROGRESS_NAME, REQUEST_NAME, RESULT_NAME, read_progress, read_request

statuses: Mapping[JobState, str] = {
    JobState.INTENDED: "NotStarted",
    JobState.SUBMITTED: "InProgress",
    JobState.COMPLETED: "Completed",
    JobState.FAILED: "Failed",
    JobState.LOST: "Lost",
}
"""In the form that other platforms use, so that `--status` takes one word for all."""
fewest_token_characters = 8
"""Of the beginning of a token that finds its job."""


class LocalManagement(Management):
    """Training jobs of this workspace; nothing is deployed here, and models belong to runs."""

    name = "local"
    statuses: ClassVar = tuple(statuses.values())

    def owns(self, identifier: str) -> bool:
        """A job's token whose process worked, or works, in this workspace."""
        return any(identifier == job.token for _, job in self._known())

    def _known(self) -> Iterator[tuple[Workspace, JobRow]]:
        """Every job of a local process with the part of the workspace it belongs to; rehearsals are last."""
        rehearsals = replace(self.workspace, rehearsal=True)
        yield from self._in(self.workspace, self.ledger)
        if rehearsals.ledger.exists():
            ledger = Ledger.open(rehearsals.ledger, self.ledger.refusal)
            try:
                yield from list(self._in(rehearsals, ledger))
            finally:
                ledger.close()

    def _in(self, workspace: Workspace, ledger: Ledger) -> Iterator[tuple[Workspace, JobRow]]:
        for job in JobBook(ledger).all_jobs():
            # The handle of a local job is its process group; a job that never started has only its folder.
            if job.handle.isdigit() or (workspace.jobs / job.token).is_dir():
                yield workspace, job

    # jobs

    def jobs(self) -> JobListing:
        """The training jobs of runs, without those of rehearsals."""
        return JobListing(
            jobs=tuple(self._seen(workspace, job) for workspace, job in self._in(self.workspace, self.ledger))
        )

    def find_job(self, name: str, *, once: bool = False) -> ManagedJob:
        """The job of that token, of a token that begins so, or of that run and step."""
        known = list(self._known())
        found = [(where, job) for where, job in known if name in (job.token, job.step)]
        if not found and len(name) >= fewest_token_characters:
            found = [(where, job) for where, job in known if job.token.startswith(name)]
        if not found:
            raise UsageError(f"no local job '{name}' in {self.workspace.root}")
        return self._seen(*found[0])

    def look(self, job: ManagedJob) -> ManagedJob | None:
        """The job as its folder shows it."""
        found = next(((where, row) for where, row in self._known() if row.token == job.id), None)
        return self._seen(*found) if found else None

    def _seen(self, workspace: Workspace, job: JobRow) -> ManagedJob:
        folder = workspace.jobs / job.token
        look = _look(workspace, job)
        return ManagedJob(
            platform=self.name,
            kind="local training",
            id=job.token,
            name=job.step,
            status=statuses[look.state],
            state=look.state,
            created=_written(folder / REQUEST_NAME),
            changed=_written(folder / PROGRESS_NAME),
            ended=_written(folder / RESULT_NAME),
            message=look.message,
            details={"folder": str(folder), "process_group": job.handle, "request": job.request},
        )

    def curves(self, job: ManagedJob) -> Curves:
        """The training loss of each step so far."""
        folder = Path(job.details["folder"])
        try:
            progress, _ = read_progress(folder)
        except msgspec.DecodeError as error:
            raise DataError(f"{folder / PROGRESS_NAME}: {error}") from error
        points = tuple((float(each.step), each.loss) for each in progress)
        return Curves(curves=(Curve(name="training loss", points=points),)) if points else Curves()

    def facts(self, job: ManagedJob) -> Iterable[tuple[str, str]]:
        """What it is doing, what it was asked to do, and where its output goes."""
        folder = Path(job.details["folder"])
        if not job.final and job.message:
            yield "progress", job.message
        try:
            request = read_request(folder)
        except (UsageError, DataError):
            return  # the folder is gone, or another version wrote it: the ledger's row is what is left
        yield "method", request.method
        yield "data", request.train_file
        yield "in force", f"epochs {request.epochs}, learning rate {request.learning_rate:g}"
        yield "output", str(folder / "log.txt")

    def why(self, job: ManagedJob) -> str:
        """The trainer's own message."""
        return job.message if job.failed else ""

    def cost_of_stopping(self, job: ManagedJob) -> str:
        """Nothing is billed, and nothing is kept."""
        if not alive(Path(job.details["folder"])):
            raise UsageError(f"{job.name} is {job.status}: there is nothing to stop")
        return "no model is made, and the next run trains from the beginning"

    def stop(self, job: ManagedJob) -> ManagedJob:
        """The process and everything it started have ended."""
        stop(Path(job.details["folder"]))
        return self.look(job) or job

    # before a run

    def checks(self, use: PlatformUse | None, options: Mapping[str, str]) -> Iterator[PreflightCheck]:
        """The libraries that train, and where they compute."""
        installed = {name: _version(name) for name in needed}
        lacking = [name for name, found in installed.items() if not found]
        if lacking and use is not None:
            fix = f"Install {', '.join(lacking)}"
            yield wrong("local libraries", f"{', '.join(lacking)} not installed", fix)
        elif lacking:
            # Without an experiment nothing says that anything trains here.
            found = f"{', '.join(lacking)} not installed; only training on this machine needs them"
            yield ok("local libraries", found)
        else:
            yield ok("local libraries", ", ".join(f"{name} {found}" for name, found in installed.items()))
            yield _device(use)


def _look(workspace: Workspace, job: JobRow) -> Look:
    """Where the job stands; what the ledger says where its folder is gone, as it is after `polytune gc`."""
    if not (workspace.jobs / job.token).is_dir():
        return Look(state=job.state, message=job.message)
    driver = ProcessDriver(workspace.jobs, (sys.executable,), {})
    return asyncio.run(driver.look(job.token, job.handle))


def _written(path: Path) -> datetime | None:
    """When a file was last written; None when there is none."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return None


def _version(distribution: str) -> str:
    """The installed version; '' for none."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _device(use: PlatformUse | None) -> PreflightCheck:
    """Where a training computes. torch itself is not imported: that takes seconds."""
    gpus = 0 if "+cpu" in _version("torch") else _gpus()
    wanted = use.spec.device if use is not None and isinstance(use.spec, LocalSpec) else "auto"
    shown = f"{gpus} GPU{'s' * (gpus != 1)}" if gpus else "the CPU; torch finds no GPU here"
    if wanted == "cuda" and not gpus:
        return wrong("local device", "platform.device is cuda, and there is no GPU", "Set it to auto or cpu")
    return ok("local device", "the CPU, as platform.device says" if wanted == "cpu" else shown)


def _gpus() -> int:
    """How many GPUs NVIDIA's driver finds, asked through its C interface; 0 without the driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    # Both functions return 0 for success (CUDA Driver API, sections 6.2 and 6.5).
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value
