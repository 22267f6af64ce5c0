"""The driver for child processes: jobs that survive the program that started them.

A job is a folder named by its token. The child runs in a session of its own and inherits the folder's
lock, so "is it still running?" is asked of the kernel: it survives the runner's death and vanishes with
the child's.

    <token>/request.json    what to do, written before the child starts
    <token>/lock            held while the child lives
    <token>/group           its process group, written by the child itself before it does anything else
    <token>/progress.jsonl  one object per report; `step` of `of`
    <token>/result.json     written last: {"status": "completed" | "failed", "message": ...}
    <token>/log.txt         what the child printed
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL, SIGTERM

import msgspec

from polytune.engine.artifacts import Facts
from polytune.engine.jobbook import JobState
from polytune.engine.jobs import Driver, Look
from polytune.engine.locks import holder, try_lock
from polytune.files import write_whole

tail_bytes = 4096
announcing = ("/bin/sh", "-c", 'echo $$ > group && exec "$@"', "sh")
"""Runs the words after it as this very process, once its id is written down: a runner that was killed
right after the start has left nothing else to know the child by."""
group_looks, group_pause_seconds = 100, 0.02
stop_looks, stop_pause_seconds = 100, 0.05
"""How long a child may take to end after a signal before it is killed."""


class ProcessResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished child says of itself; other members are the caller's to read."""

    status: str
    message: str = ""


class ProcessProgress(msgspec.Struct, frozen=True, kw_only=True):
    """One report of a running child."""

    step: int = 0
    of: int = 0
    loss: float | None = None


class ProcessDriver(Driver):
    """Runs `command FOLDER` as a job; the request is in the folder's `request.json`."""

    def __init__(self, jobs: Path, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.jobs = jobs
        self.command = tuple(command)
        self.environment = dict(environment)

    def folder(self, token: str) -> Path:
        """Where the job of that token works."""
        return self.jobs / token

    async def submit(self, token: str, request: Facts, what: str) -> str:
        """The child runs or has ended; its process group is the handle."""
        folder = self.folder(token)
        with try_lock(folder / "lock", what, inheritable=True) as lock:
            if lock is None or (folder / "result.json").exists():
                return await _recorded_group(folder / "group")
            write_whole(folder / "request.json", msgspec.json.format(msgspec.json.encode(request)))
            return str(self._start(folder, lock))

    def _start(self, folder: Path, lock: int) -> int:
        """The child's process group. Nothing can interrupt this, so no child starts without its lock."""
        with (folder / "log.txt").open("ab") as log:
            child = subprocess.Popen(
                [*announcing, *self.command, str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                cwd=folder,
                start_new_session=True,
                pass_fds=[lock],
            )
        child.returncode = 0  # it may outlive us, which Popen would warn about
        return child.pid

    async def look(self, token: str, handle: str) -> Look:
        """Completed or failed if the child said so; lost if it is gone without a word."""
        folder = self.folder(token)
        _reap(handle)
        running = alive(folder)
        result = _result(folder / "result.json")
        if result is not None:
            state = JobState.COMPLETED if result.status == "completed" else JobState.FAILED
            return Look(state=state, message=result.message, done=1.0)
        if not running:
            return Look(state=JobState.LOST, message=_last_words(folder))
        return _progress(folder / "progress.jsonl")

    def detached(self, token: str, handle: str) -> str:
        """The command that ends the child and everything it started."""
        return f"polytune job stop {token}"


def alive(folder: Path) -> bool:
    """Whether the job of that folder has a child at work, or its end is not recorded yet."""
    return holder(folder / "lock") is not None


def stop(folder: Path) -> bool:
    """The child of a job and everything it started have ended, and the job says that it was stopped.

    False when nothing was running. The lock is what tells that the process group is still the job's own:
    a group's number may belong to another program once its processes have ended.
    """
    group = _written(folder / "group")
    if not group or not alive(folder):
        return False
    for signal in (SIGTERM, SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(group, signal)
        if _ends(folder):
            break
    if not (folder / "result.json").exists():
        stopped = ProcessResult(status="stopped", message="stopped by `polytune job stop`")
        write_whole(folder / "result.json", msgspec.json.encode(stopped))
    return True


def _written(path: Path) -> int:
    """The process group in a file; 0 when none is written there."""
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return 0


def _ends(folder: Path) -> bool:
    """Whether the child lets go of its lock within a few seconds."""
    for _ in range(stop_looks):
        if not alive(folder):
            return True
        time.sleep(stop_pause_seconds)
    return False


async def _recorded_group(path: Path) -> str:
    """What a child of an earlier run wrote, which may have started a moment ago; '' when it could not."""
    for _ in range(group_looks):
        if path.exists() and (group := path.read_text().strip()):
            return group
        await asyncio.sleep(group_pause_seconds)
    return ""


def _reap(handle: str) -> None:
    """A child of this very process that has ended does not linger as a zombie."""
    try:
        os.waitpid(int(handle), os.WNOHANG)
    except (ChildProcessError, ValueError):
        return


def _result(path: Path) -> ProcessResult | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=ProcessResult)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        return ProcessResult(status="failed", message=f"{path}: unreadable ({error})")


def _progress(path: Path) -> Look:
    latest = ProcessProgress()
    for line in _tail(path).splitlines():
        try:
            latest = msgspec.json.decode(line, type=ProcessProgress)
        except msgspec.DecodeError:
            continue
    share = latest.step / latest.of if latest.of else 0.0
    loss = "" if latest.loss is None else f", loss {latest.loss:.3f}"
    message = f"step {latest.step} of {latest.of}{loss}" if latest.of else "starting"
    return Look(state=JobState.SUBMITTED, message=message, done=share)


def _last_words(folder: Path) -> str:
    lines = _tail(folder / "log.txt").decode(errors="replace").strip().splitlines()
    said = f": {lines[-1]}" if lines else ""
    return f"the process ended without a result{said} (its output: {folder / 'log.txt'})"


def _tail(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - tail_bytes))
            return file.read()
    except FileNotFoundError:
        return b""
