"""Several programs at once: common work is done once, unrelated work never waits, refusals say who."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from polytune.engine.manifest import Manifest, read_manifest
from tests.engine.engine_bench import Bench, eventually, is_alive, outputs, read_until, statuses
from tests.messages import message


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A workspace."""
    made = Bench.made(tmp_path, monkeypatch)
    yield made
    made.close()


def waiting(name: str, bench: Bench) -> Path:
    """An experiment whose first step waits until `open` exists."""
    steps = {"g": {"uses": "gate", "label": "shared"}, "t": {"uses": "trim", "from": "g", "label": name}}
    return bench.experiment(name, steps)


def manifests(bench: Bench, experiment: str) -> list[Manifest]:
    """The manifests of an experiment's runs, oldest first."""
    return [read_manifest(path) for path in sorted(bench.root.glob(f"runs/{experiment}/*/manifest.json"))]


def ended(process: subprocess.Popen[str]) -> int:
    """The exit code of a program that comes to its end."""
    process.communicate(timeout=60)
    return process.returncode


def test_two_runs_that_need_one_step_do_it_once(bench: Bench) -> None:
    """One works; the other says for whom it waits, and takes the output; both end well."""
    one = bench.start("run", waiting("one", bench))
    eventually(lambda: bench.begun() == ["shared"], "the first run to work")
    two = bench.start("run", waiting("two", bench))
    said = "".join(read_until(two, "waiting"))
    bench.write("open", "")

    assert (ended(one), ended(two)) == (0, 0)
    assert f"process {one.pid} on " in said
    assert " for one/" in said
    assert bench.begun().count("shared") == 1
    (first,), (second,) = manifests(bench, "one"), manifests(bench, "two")
    assert statuses(first) == {"g": "done", "t": "done"}
    assert statuses(second) == {"g": "cached", "t": "done"}
    assert second.steps["g"].from_run == f"one/{first.run_id}"


def test_the_same_experiment_twice_at_once_is_done_once(bench: Bench) -> None:
    """Two programs running one file share every step between them and agree on every output."""
    bench.write("open", "")
    bench.write("a.txt", "alpha\n")
    steps = {
        "a": {"uses": "source", "path": "a.txt"},
        "q": {"uses": "asker", "count": 24},
        "f": {"uses": "far", "from": "a", "seconds": 0.1},
        "j": {"uses": "join", "from": {"left": "f", "right": "q"}},
    }
    path = bench.experiment("x", steps)
    programs = [bench.start("run", path) for _ in range(3)]

    assert [ended(program) for program in programs] == [0, 0, 0]
    runs = manifests(bench, "x")
    assert all(outputs(run) == outputs(runs[0]) for run in runs)
    assert sorted(bench.begun()) == ["a", "f", "j", "q"]
    assert len(set(bench.asked())) == len(bench.asked()) == 24
    assert len(bench.children()) == 1
    for name in steps:
        assert sorted(statuses(run)[name] for run in runs) == sorted(["done", *["cached"] * (len(runs) - 1)])


def test_a_waiting_run_takes_over_from_a_killed_one(bench: Bench) -> None:
    """When the worker dies, the one that waits does the step itself; nobody unlocks anything."""
    one = bench.start("run", waiting("one", bench))
    eventually(lambda: bench.begun() == ["shared"], "the first run to work")
    two = bench.start("run", waiting("two", bench))
    read_until(two, "waiting")

    os.kill(one.pid, signal.SIGKILL)
    ended(one)
    eventually(lambda: bench.begun() == ["shared", "shared"], "the second run to take over")
    bench.write("open", "")

    assert ended(two) == 0
    assert statuses(manifests(bench, "two")[0]) == {"g": "done", "t": "done"}


def test_a_job_of_a_killed_run_is_adopted_by_the_one_that_waits(bench: Bench) -> None:
    """The waiting run attaches to the job that the dead one submitted; there is one job."""
    steps = {"f": {"uses": "far", "how": "waits", "label": "shared"}}
    one = bench.start("run", bench.experiment("one", steps))
    eventually(lambda: len(bench.children()) == 1, "the job to start")
    two = bench.start("run", bench.experiment("two", steps))
    read_until(two, "waiting")

    os.killpg(one.pid, signal.SIGKILL)
    ended(one)
    eventually(lambda: len(bench.begun()) == 2, "the second run to take over")
    bench.write("open", "")

    assert ended(two) == 0
    assert len(bench.children()) == 1


def test_unrelated_experiments_do_not_wait(bench: Bench) -> None:
    """While one run waits for ever, another experiment of the same workspace runs to its end."""
    stuck = bench.start("run", waiting("stuck", bench))
    eventually(lambda: bench.begun() == ["shared"], "the first run to work")
    bench.write("a.txt", "alpha\n")

    done = bench.call("run", bench.experiment("free", {"a": {"uses": "source", "path": "a.txt"}}))

    assert done.returncode == 0
    assert "waiting" not in done.stderr
    assert stuck.poll() is None
    bench.write("open", "")
    assert ended(stuck) == 0


def test_resuming_a_live_run_is_refused_with_who_and_since_when(bench: Bench) -> None:
    """The refusal names the process, its machine, the time and the run, and exits with 1; the run goes on."""
    live = bench.start("run", waiting("x", bench))
    eventually(lambda: bench.begun() == ["shared"], "the run to work")
    (run,) = manifests(bench, "x")

    refused = bench.call("resume", run.run_id)
    unnamed = bench.call("resume")

    assert (refused.returncode, unnamed.returncode) == (1, 1)
    assert refused.stdout == ""
    who = {"run": run.run_id, "process": live.pid, "host": os.uname().nodename, "since": "20"}
    assert refused.stderr.startswith(message("engine/run-is-being-worked-on", **who))
    assert refused.stderr.strip().endswith(f", for x/{run.run_id}")
    bench.write("open", "")
    assert ended(live) == 0


def test_two_resumes_at_once_are_one(bench: Bench) -> None:
    """Of several programs that resume one dead run, those that come second are refused or find it done."""
    dead = bench.start("run", waiting("x", bench))
    eventually(lambda: bench.begun() == ["shared"], "the run to work")
    os.kill(dead.pid, signal.SIGKILL)
    ended(dead)
    (run,) = manifests(bench, "x")

    resumes = [bench.start("resume", run.run_id) for _ in range(3)]
    eventually(lambda: len(bench.begun()) == 2, "one of them to work")
    bench.write("open", "")
    codes = sorted(ended(each) for each in resumes)

    assert codes in ([0, 1, 1], [0, 0, 1], [0, 0, 0])
    assert bench.begun().count("shared") == 2
    assert bench.begun().count("x") == 1
    assert statuses(manifests(bench, "x")[0]) == {"g": "done", "t": "done"}


# Ctrl-C


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_detaches_from_a_job_and_says_how_to_go_on(bench: Bench, number: signal.Signals) -> None:
    """It ends soon with 130, names the commands that continue and that stop the job, and the job lives on."""
    bench.write("a.txt", "alpha\n")
    steps = {
        "a": {"uses": "source", "path": "a.txt"},
        "f": {"uses": "far", "from": "a", "how": "waits"},
        "t": {"uses": "trim", "from": "f"},
    }
    run = bench.start("run", bench.experiment("x", steps))
    eventually(lambda: len(bench.children()) == 1, "the job to start")
    child = int(bench.children()[0].split()[0])

    run.send_signal(number)
    _, said = run.communicate(timeout=20)
    (stopped,) = manifests(bench, "x")
    alive = is_alive(child)
    bench.write("open", "")
    resumed = bench.call("resume")

    assert run.returncode == 130
    assert f"polytune resume {stopped.run_id}" in said
    assert "polytune job stop " in said
    assert "Traceback" not in said
    assert stopped.status == "stopped"
    assert statuses(stopped) == {"a": "done", "f": "stopped", "t": "stopped"}
    assert alive
    assert resumed.returncode == 0, resumed.stderr
    (finished,) = manifests(bench, "x")
    assert (finished.status, statuses(finished)) == ("done", {"a": "done", "f": "done", "t": "done"})
    assert finished.steps["f"].attempts == 2
    assert len(bench.children()) == 1


def test_an_interrupt_keeps_the_answers_that_were_paid(bench: Bench) -> None:
    """After Ctrl-C in the middle of paid calls, resuming asks only what is missing."""
    path = bench.experiment("x", {"q": {"uses": "asker", "count": 400}})
    run = bench.start("run", path)
    eventually(lambda: len(bench.asked()) > 50, "some answers")

    run.send_signal(signal.SIGINT)
    ended(run)
    asked = len(bench.asked())
    resumed = bench.call("resume")

    assert run.returncode == 130
    assert asked < 400
    assert resumed.returncode == 0
    assert 400 <= len(bench.asked()) <= 400 + 8  # those in flight may be asked again
    (finished,) = manifests(bench, "x")
    assert finished.steps["q"].usage.reused >= asked - 8


def test_a_second_interrupt_quits_at_once(bench: Bench) -> None:
    """A step that does not stop when asked to is left by the second Ctrl-C, and can be resumed."""
    path = bench.experiment("x", {"s": {"uses": "stubborn"}})
    run = bench.start("run", path)
    eventually(lambda: bench.begun() == ["s"], "the step to begin")

    run.send_signal(signal.SIGINT)
    eventually(lambda: bench.lines("effects.log")[-1] == "asked to stop", "the step to be asked")
    still_there = run.poll() is None
    run.send_signal(signal.SIGINT)
    code = ended(run)
    bench.write("open", "")
    resumed = bench.call("resume")

    assert still_there
    assert code == 130
    assert resumed.returncode == 0
