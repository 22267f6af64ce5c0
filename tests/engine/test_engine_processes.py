"""Jobs as real child processes: they outlive whoever started them, and are never started twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from polytune.engine.artifacts import Facts
from polytune.engine.jobbook import JobState
from polytune.engine.jobs import Look
from polytune.engine.locks import holder
from polytune.engine.processes import ProcessDriver, stop
from tests.engine.engine_bench import eventually, is_alive
from tests.engine.engine_kinds import child_script, out_name
from tests.messages import message

command = (sys.executable, "-S", "-E", str(child_script))
runner = """
import asyncio, json, sys, time
from pathlib import Path
from polytune.engine.processes import ProcessDriver
jobs, command, request = json.loads(sys.argv[1])
driver = ProcessDriver(Path(jobs), command, {"PATH": "/usr/bin:/bin"})
print(asyncio.run(driver.submit("t-1", request, "x/1 far")), flush=True)
time.sleep(60)
"""


class Place:
    """A folder of jobs, and a driver in it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.jobs = folder / "jobs"
        self.driver = ProcessDriver(self.jobs, command, {"PATH": os.environ["PATH"]})

    def request(self, how: str = "completes", seconds: float = 0.0) -> Facts:
        """What the child is asked for."""
        files = {"log": str(self.root / "children.log"), "open": str(self.root / "open")}
        return {**files, "how": how, "seconds": seconds, "text": "made\n"}

    def submit(self, how: str = "completes", seconds: float = 0.0) -> str:
        """The job `t-1` is submitted; its handle is returned."""
        return asyncio.run(self.driver.submit("t-1", self.request(how, seconds), "x/1 far"))

    def look(self, handle: str) -> Look:
        """One look at it."""
        return asyncio.run(self.driver.look("t-1", handle))

    def awaited(self, handle: str) -> Look:
        """The look that finds it ended."""
        eventually(lambda: self.look(handle).state.final, "the job to end")
        return self.look(handle)

    def started(self) -> list[int]:
        """The process id of every child that was started."""
        log = self.root / "children.log"
        return [int(line.split()[0]) for line in log.read_text().splitlines()] if log.exists() else []

    def open(self) -> None:
        """Children that wait go on."""
        (self.root / "open").touch()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An empty place; children that a failed test leaves behind are ended."""
    made = Place(tmp_path)
    yield made
    for child in made.started():
        if is_alive(child):
            os.kill(child, signal.SIGKILL)


def test_a_child_completes(place: Place) -> None:
    """Its outputs are in the job's folder, its request is what was asked, its group is the handle."""
    handle = place.submit()

    found = place.awaited(handle)

    assert found == Look(state=JobState.COMPLETED, done=1.0)
    assert place.started() == [int(handle)]
    assert (place.driver.folder("t-1") / out_name).read_text() == "made\n"
    assert (place.driver.folder("t-1") / "group").read_text().strip() == handle
    assert json.loads((place.driver.folder("t-1") / "request.json").read_text()) == place.request()


def test_a_child_that_fails_says_why(place: Place) -> None:
    """The child's own message is the job's."""
    found = place.awaited(place.submit("fails"))

    assert found == Look(state=JobState.FAILED, message="no luck", done=1.0)


def test_a_child_that_dies_silently_is_lost_and_its_last_words_are_told(place: Place) -> None:
    """Without a result the job is lost; the last line it printed and its log are named."""
    found = place.awaited(place.submit("dies"))

    log = place.driver.folder("t-1") / "log.txt"
    expected = message("engine/process-ended-without-result", line="something broke", log=log)
    assert found == Look(state=JobState.LOST, message=expected)


def test_a_child_that_cannot_start_is_lost(place: Place) -> None:
    """A command that does not exist ends as a lost job with the shell's words, not as a hang."""
    driver = ProcessDriver(place.jobs, ["/nowhere/trainer"], {"PATH": os.environ["PATH"]})
    handle = asyncio.run(driver.submit("t-1", {}, "x/1 far"))

    found = place.awaited(handle)

    assert found.state is JobState.LOST
    assert "/nowhere/trainer" in found.message


def test_a_child_killed_from_outside_is_lost(place: Place) -> None:
    """kill -9 of the child is noticed at the next look, and no zombie stays."""
    handle = place.submit("waits")
    eventually(lambda: bool(place.started()), "the child to start")

    os.kill(int(handle), signal.SIGKILL)

    assert place.awaited(handle).state is JobState.LOST
    eventually(lambda: not Path(f"/proc/{handle}").exists(), "the process to be gone")


def test_a_running_child_tells_its_progress(place: Place) -> None:
    """While it runs, a look says which step of how many, and the loss."""
    handle = place.submit("waits")
    eventually(lambda: place.look(handle).done > 0, "progress")

    assert place.look(handle) == Look(state=JobState.SUBMITTED, message="step 1 of 2, loss 0.500", done=0.5)
    place.open()
    place.awaited(handle)


def test_half_a_line_of_progress_is_not_read(place: Place) -> None:
    """A report that is still being written does not hide the one before."""
    handle = place.submit("waits")
    eventually(lambda: place.look(handle).done > 0, "progress")
    with (place.driver.folder("t-1") / "progress.jsonl").open("a") as progress:
        progress.write('{"step": 2, "o')

    assert place.look(handle).message == "step 1 of 2, loss 0.500"
    place.open()
    place.awaited(handle)


def test_an_unreadable_result_is_a_failure(place: Place) -> None:
    """A result file with something else in it fails the job and names the file."""
    handle = place.submit("waits")
    result = place.driver.folder("t-1") / "result.json"
    result.write_text('{"status": ')

    found = place.look(handle)

    assert found.state is JobState.FAILED
    assert found.message.startswith(f"{result}: unreadable")
    place.open()
    eventually(lambda: holder(place.driver.folder("t-1") / "lock") is None, "the child to end")


def test_a_second_submit_while_the_child_runs_starts_nothing(place: Place) -> None:
    """The same token is the same child, with the same handle."""
    first = place.submit("waits")

    second = place.submit("waits")

    place.open()
    place.awaited(first)
    assert second == first
    assert len(place.started()) == 1


def test_a_second_submit_after_the_child_ended_starts_nothing(place: Place) -> None:
    """A token whose result is there is not started again."""
    first = place.submit()
    place.awaited(first)

    assert place.submit() == first
    assert len(place.started()) == 1


def test_a_stopped_child_is_gone_and_says_so(place: Place) -> None:
    """Its group has ended, the job has failed with that reason, and stopping it once more does nothing."""
    handle = place.submit("waits")
    eventually(lambda: bool(place.started()), "the child to start")

    (child,) = place.started()

    assert place.driver.detached("t-1", handle) == "polytune job stop t-1"
    assert stop(place.jobs / "t-1")
    assert not is_alive(child)
    assert place.look(handle) == Look(
        state=JobState.FAILED, message=message("engine/stopped-by-polytune-job-stop"), done=1.0
    )
    assert not stop(place.jobs / "t-1")


def test_a_group_that_is_not_the_job_s_any_more_is_left_alone(place: Place) -> None:
    """A number in the job's file means nothing once the job's lock is free."""
    handle = place.submit()
    place.awaited(handle)
    eventually(lambda: holder(place.jobs / "t-1" / "lock") is None, "the lock to be free")
    with subprocess.Popen(["/bin/sleep", "60"], start_new_session=True) as other:
        (place.jobs / "t-1" / "group").write_text(str(other.pid))

        assert not stop(place.jobs / "t-1")
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize("whole_group", [False, True], ids=["the runner", "its group"])
@pytest.mark.parametrize("seconds", [None, 0.0, 0.02])
def test_a_child_outlives_its_killed_runner_and_is_adopted(
    place: Place, whole_group: bool, seconds: float | None
) -> None:
    """After kill -9 of the runner, alone or with its group, the child goes on and stays the only one."""
    arguments = json.dumps([str(place.jobs), list(command), place.request("waits")])
    with subprocess.Popen(
        [sys.executable, "-c", runner, arguments], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        if seconds is None:
            eventually((place.jobs / "t-1" / "request.json").exists, "the request")
        else:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(seconds)
        (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
        process.wait()

        handle = place.submit("waits")
        eventually(lambda: bool(place.started()), "the child to start")
        (child,) = place.started()
        assert is_alive(child)
        assert handle == str(child)
        assert place.look(handle).state is JobState.SUBMITTED
        place.open()
        assert place.awaited(handle).state is JobState.COMPLETED
    assert place.started() == [child]
