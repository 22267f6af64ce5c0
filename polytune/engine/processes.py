"""The driver for child processes: jobs that outlive the program that started them.

A job is a folder named by its token. The child runs in its own session and inherits the lock on the folder,
so the kernel knows whether it still runs: the lock survives the runner and ends with the child.

    <token>/request.json    what to do, written before the child starts
    <token>/lock            held while the child lives
    <token>/group           its process group, written by the child before anything else
    <token>/progress.jsonl  one object per report; `step` of `of`
    <token>/result.json     written last: {"status": "completed" | "failed", "message": ...}
    <token>/log.txt         the child's output
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

# Enough for the last few progress reports or the last lines of a traceback.
tail_bytes = 4096
announcing = ("/bin/sh", "-c", 'echo $$ > group && exec "$@"', "sh")
"""Runs its arguments as this same process, after writing its id to a file. If the runner is killed right
after the start, that file is the only way to find the child's group."""
group_looks, group_pause_seconds = 100, 0.02
stop_looks, stop_pause_seconds = 100, 0.05
"""How long a child may take to end after a signal before it is killed (5 s)."""


class ProcessResult(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a child's result that the driver reads; other members belong to the caller."""

    status: str
    message: str = ""


class ProcessProgress(msgspec.Struct, frozen=True, kw_only=True):
    """One progress report of a running child."""

    step: int = 0
    of: int = 0
    loss: float | None = None


class ProcessDriver(Driver):
    """Runs `command .` in a folder as a job. The request is in the folder's `request.json`."""

    def __init__(self, jobs: Path, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.jobs = jobs
        self.command = tuple(command)
        self.environment = dict(environment)

    def folder(self, token: str) -> Path:
        """Return the folder of the job with that token."""
        return self.jobs / token

    async def submit(self, token: str, request: Facts, what: str) -> str:
        """Start the child, unless it runs or has ended; return its process group as the handle."""
        folder = self.folder(token)
        with try_lock(folder / "lock", what, inheritable=True) as lock:
            # The lock and the result decide together, under the lock, so two runners
            # cannot start two children.
            if lock is None or (folder / "result.json").exists():
                return await _recorded_group(folder / "group")
            write_whole(folder / "request.json", msgspec.json.format(msgspec.json.encode(request)))
            return str(self._start(folder, lock))

    def _start(self, folder: Path, lock: int) -> int:
        """Start the child; return its process group. No await here: no child ever starts without its lock."""
        with (folder / "log.txt").open("ab") as log:
            child = subprocess.Popen(
                # Not its absolute path: the workspace may be moved while the child works.
                [*announcing, *self.command, "."],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                cwd=folder,
                # Ctrl-C in the terminal must not reach the child: it is left running for `resume`.
                start_new_session=True,
                pass_fds=[lock],
            )
        # The child may outlive this process, which Popen's destructor would warn about.
        child.returncode = 0
        return child.pid

    async def look(self, token: str, handle: str) -> Look:
        """Return completed or failed if the child says so, lost if it ended without a result."""
        folder = self.folder(token)
        _reap(handle)
        # The lock before the result: a child that ends in between is seen as completed. The other order
        # could report it as lost.
        running = alive(folder)
        result = _result(folder / "result.json")
        if result is not None:
            state = JobState.COMPLETED if result.status == "completed" else JobState.FAILED
            return Look(state=state, message=result.message, done=1.0)
        if not running:
            return Look(state=JobState.LOST, message=_last_words(folder))
        return _progress(folder / "progress.jsonl")

    def detached(self, token: str, handle: str) -> str:
        """Return the command that ends the child and everything it started."""
        return f"polytune job stop {token}"


def alive(folder: Path) -> bool:
    """Whether the job of that folder has a running child, or its end is not recorded yet."""
    return holder(folder / "lock") is not None


def has_ended(folder: Path) -> bool:
    """Whether no process works on the job of that folder and none has completed it."""
    # The lock before the result, as in `look`.
    if alive(folder):
        return False
    result = _result(folder / "result.json")
    return result is None or result.status != "completed"


def stop(folder: Path) -> bool:
    """End a job's child and everything it started, and record that it was stopped.

    False when nothing was running. Only the lock shows that the process group still belongs to the job:
    its number may be reused by another program once its processes have ended.
    """
    group = _written(folder / "group")
    if not group or not alive(folder):
        return False
    for signal in (SIGTERM, SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(group, signal)
        if _ends(folder):
            break
    # The child may have finished before the signal arrived; its own result stays.
    if not (folder / "result.json").exists():
        stopped = ProcessResult(status="stopped", message="stopped by `polytune job stop`")
        write_whole(folder / "result.json", msgspec.json.encode(stopped))
    return True


def _written(path: Path) -> int:
    """Return the process group in a file; 0 when there is none."""
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return 0


def _ends(folder: Path) -> bool:
    """Whether the child releases its lock within a few seconds."""
    for _ in range(stop_looks):
        if not alive(folder):
            return True
        time.sleep(stop_pause_seconds)
    return False


async def _recorded_group(path: Path) -> str:
    """Return the process group that the child wrote; '' when it wrote none within 2 s of waiting."""
    for _ in range(group_looks):
        if path.exists() and (group := path.read_text().strip()):
            return group
        await asyncio.sleep(group_pause_seconds)
    return ""


def _reap(handle: str) -> None:
    """Collect the exit status of a child of this process, so that it does not stay a zombie."""
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
