"""kill -9, again and again: what was finished stays, what was paid is not paid again, the end is the same.

One experiment (a file, paid answers, a job, joins) is killed at the beginning and end of every step, before
the renames that publish things, and at random moments; alone, or with its whole process group. After each
kill `polytune resume` goes on, often to be killed as well. POLYTUNE_TEST_KILLS sets how many random kills
there are (default 50), rounded up to sixes.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from polytune.engine.answers import Ask
from polytune.engine.ledger import Ledger
from polytune.engine.manifest import Manifest, read_manifest
from polytune.fingerprint import fingerprint
from tests.engine.engine_bench import Bench, eventually, install_kinds, is_alive, outputs
from tests.engine.engine_kinds import child_script
from tests.messages import message

random_kills = int(os.environ.get("POLYTUNE_TEST_KILLS", "50"))
kills_of_a_test = 6
longest_start_seconds, longest_work_seconds = 0.4, 0.7
labels = ("a", "q", "far", "j", "t")
answers = 24
dying_script = child_script.with_name("engine_dying.py")


def experiment(bench: Bench, job_seconds: float = 0.3) -> Path:
    """The experiment to kill; how long its job takes changes no output."""
    bench.write("a.txt", "alpha\n")
    steps = {
        "a": {"uses": "source", "path": "a.txt"},
        "q": {"uses": "asker", "count": answers},
        "far": {"uses": "far", "from": "a", "seconds": job_seconds},
        "j": {"uses": "join", "from": {"left": "far", "right": "q"}},
        "t": {"uses": "trim", "from": "j", "keep": 9},
    }
    return bench.experiment("x", steps)


class Patient:
    """A workspace in which runs are killed, and what must be true of it whatever happens."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.path = experiment(bench)
        self.finished: set[str] = set()
        self.stored: set[Ask] = set()
        self.begun = self.asked = 0

    def command(self) -> list[str]:
        """`resume` if there is something to resume, else `run`."""
        runs = self._rows("SELECT status FROM runs")
        return ["resume", *([] if ("running",) in runs else ["x"])] if runs else ["run", str(self.path)]

    @property
    def is_done(self) -> bool:
        """Whether the run came to its end."""
        return self._rows("SELECT status FROM runs") == [("done",)]

    def note(self) -> None:
        """What is finished, stored and done by now is remembered, for the checks after the next life."""
        self.finished = {step for (step,) in self._rows("SELECT step FROM results")}
        self.stored = {Ask(*row) for row in self._rows("SELECT request, draw FROM answers")}
        self.begun, self.asked = len(self.bench.begun()), len(self.bench.asked())

    def check(self) -> None:
        """In the life since `note`, nothing finished was redone and no stored answer was asked again."""
        again = set(self.bench.begun()[self.begun :]) & self.finished
        assert not again, f"done again: {again}"
        asked = {Ask(line.split()[0], int(line.split()[1])) for line in self.bench.asked()[self.asked :]}
        assert not asked & self.stored, "a stored answer was asked again"
        assert len(self.bench.children()) <= 1, "a second job was started"

    def finish(self) -> Manifest:
        """The run, resumed without a further kill."""
        self.note()
        done = self.bench.call(*self.command())
        assert done.returncode == 0, done.stderr
        self.check()
        (manifest,) = [read_manifest(path) for path in self.bench.root.glob("runs/x/*/manifest.json")]
        return manifest

    def live(self, chance: random.Random) -> bool:
        """The program works for a while and is killed, alone or as a group; False if it came to its end."""
        self.note()
        events = self._events()
        process = self.bench.start(*self.command())
        if chance.random() < 0.25:
            time.sleep(chance.uniform(0, longest_start_seconds))
        else:
            eventually(lambda: self._events() > events or process.poll() is not None, "a sign of life")
            time.sleep(chance.uniform(0, longest_work_seconds))
        was_killed = process.poll() is None
        if was_killed:
            (os.killpg if chance.random() < 0.5 else os.kill)(process.pid, signal.SIGKILL)
        _ended(process)
        self.check()
        return was_killed

    def _events(self) -> int:
        return sum(path.stat().st_size for path in self.bench.root.glob("runs/x/*/events.jsonl"))

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        path = self.bench.root / "runs" / "ledger.sqlite3"
        if not path.exists():
            return []
        connection = sqlite3.connect(path)
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError:  # killed before the tables were there
            return []
        finally:
            connection.close()


def _ended(process: subprocess.Popen[str]) -> None:
    """The process is gone and its pipes are closed."""
    process.communicate(timeout=60)


@pytest.fixture(scope="module")
def plug(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test kinds, installed for the processes that these tests start."""
    return install_kinds(tmp_path_factory.mktemp("plug"))


@pytest.fixture
def patients(tmp_path: Path, plug: Path) -> Iterator[Iterator[Patient]]:
    """Fresh workspaces; jobs that a failed test leaves behind are ended."""
    made: list[Patient] = []

    def fresh() -> Iterator[Patient]:
        while True:
            made.append(Patient(Bench.at(tmp_path / f"space{len(made)}", plug)))
            yield made[-1]

    yield fresh()
    for patient in made:
        patient.bench.close()


@pytest.fixture
def patient(patients: Iterator[Patient]) -> Patient:
    """A fresh workspace."""
    return next(patients)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, plug: Path) -> dict[str, str]:
    """The digests of a run that nobody killed."""
    manifest = Patient(Bench.at(tmp_path_factory.mktemp("calm") / "space", plug)).finish()
    return outputs(manifest)


def settled(patient: Patient, undisturbed: dict[str, str]) -> None:
    """The run ends as an undisturbed one does, tidily, and a further resume has nothing to do."""
    manifest = patient.finish()

    assert manifest.status == "done"
    assert {name: str(report.status) for name, report in manifest.steps.items()} == dict.fromkeys(
        labels, "done"
    )
    assert outputs(manifest) == undisturbed
    assert len(patient.bench.children()) == 1
    folder = patient.bench.root / "runs" / "x" / manifest.run_id
    assert [path.name for path in folder.glob(".*.partial")] == []


@pytest.mark.parametrize("whole_group", [False, True], ids=["alone", "group"])
def test_killed_at_every_steps_beginning_and_end(
    patient: Patient, undisturbed: dict[str, str], whole_group: bool
) -> None:
    """Each step is killed as it begins and as it ends, one life after another; the last life finishes."""
    for label in labels:
        for moment in (f"begin {label}", f"end {label}"):
            patient.note()
            die = {"DIE_AT": moment, **({"DIE_ALL": "1"} if whole_group else {})}
            process = patient.bench.start(*patient.command(), **die)
            _ended(process)
            assert process.returncode == -signal.SIGKILL, moment
            patient.check()

    settled(patient, undisturbed)
    begun = Counter(patient.bench.begun())
    assert all(begun[label] >= 3 for label in labels)
    assert message("engine/nothing-was-run") in patient.bench.call("run", patient.path).stderr
    assert Counter(patient.bench.begun()) == begun


def test_killed_before_every_kind_of_rename(patient: Patient, undisturbed: dict[str, str]) -> None:
    """Killed right before its n-th rename (manifest, object, output folder): nothing is ever half-true."""
    lives = 0
    for number in (1, 2, 3, 4, 6, 8, 9, 11, 5, 7, 2, 3):
        patient.note()
        process = patient.bench.script(dying_script, *patient.command(), DIE_BEFORE_RENAME=str(number))
        _ended(process)
        patient.check()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        lives += 1

    assert lives >= 6
    settled(patient, undisturbed)


@pytest.mark.parametrize("seed", range(-(-random_kills // kills_of_a_test)))
def test_killed_at_random_moments(
    patients: Iterator[Patient], undisturbed: dict[str, str], seed: int
) -> None:
    """Killed at moments nobody chose, alone or as a group, every run still ends the same."""
    chance = random.Random(seed)
    patient = next(patients)
    kills = 0
    while kills < kills_of_a_test:
        if patient.is_done:
            settled(patient, undisturbed)
            patient = next(patients)
        kills += patient.live(chance)

    settled(patient, undisturbed)


def test_a_job_goes_on_while_nobody_runs(patient: Patient, undisturbed: dict[str, str]) -> None:
    """The runner's whole group is killed while the job works; the job finishes alone and is collected."""
    process = patient.bench.start("run", experiment(patient.bench, job_seconds=2.0))
    eventually(lambda: bool(patient.bench.children()), "the job to start")
    child = int(patient.bench.children()[0].split()[0])

    os.killpg(process.pid, signal.SIGKILL)
    _ended(process)

    assert is_alive(child)
    eventually(lambda: not is_alive(child), "the job to end")
    settled(patient, undisturbed)


def test_every_answer_of_the_paid_step_is_asked_once_when_nothing_is_in_flight(patient: Patient) -> None:
    """Killed after the paid step had all its answers, no later life asks for any."""
    patient.note()
    _ended(patient.bench.start("run", patient.path, DIE_AT="end q"))

    patient.finish()

    wanted = Counter(f"{fingerprint('test.v1', ['t', n])} {n}" for n in range(answers))
    assert Counter(patient.bench.asked()) == wanted


def test_the_ledger_is_sound_after_all_that(patient: Patient) -> None:
    """SQLite finds nothing wrong with a ledger whose writers were killed."""
    chance = random.Random(99)
    for _ in range(30):
        if patient.is_done:
            break
        patient.live(chance)

    ledger = Ledger.open(patient.bench.root / "runs" / "ledger.sqlite3")
    assert ledger.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    ledger.close()
