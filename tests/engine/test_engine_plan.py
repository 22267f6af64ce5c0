"""Plans: each state with its reason, found without running anything; and which steps a command selects."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from polytune.engine.jobbook import JobBook, JobRow, JobState
from polytune.engine.locks import try_lock
from polytune.engine.plan import Plan
from polytune.engine.selection import select
from polytune.errors import UsageError
from tests.engine.engine_bench import Bench, eventually, is_alive, states, statuses
from tests.messages import matching, message


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A workspace with two texts."""
    made = Bench.made(tmp_path, monkeypatch)
    made.write("a.txt", "alpha\n")
    made.write("b.txt", "beta\n")
    return made


def chain(keep: int = 1, **source: object) -> dict[str, Mapping[str, object]]:
    """source a -> trim t -> trim u, and source b beside them."""
    return {
        "a": {"uses": "source", "path": "a.txt", **source},
        "t": {"uses": "trim", "from": "a", "keep": keep},
        "u": {"uses": "trim", "from": "t"},
        "b": {"uses": "source", "path": "b.txt"},
    }


def why(plan: Plan, step: str) -> tuple[str, ...]:
    """A step's reasons."""
    return plan.step(step).because


def test_before_anything_ran_everything_runs(bench: Bench) -> None:
    """A first plan says so for each step; planning itself runs nothing."""
    plan = bench.plan(bench.experiment("x", chain()))

    assert states(plan) == {"a": "run", "t": "run", "u": "run", "b": "run"}
    assert why(plan, "a") == ("never run",)
    assert not plan.idle
    assert bench.begun() == []


def test_after_a_run_nothing_is_to_do(bench: Bench) -> None:
    """Every step is a hit and the plan is idle."""
    path = bench.experiment("x", chain())
    bench.run(path)

    plan = bench.plan(path)

    assert set(states(plan).values()) == {"hit"}
    assert plan.idle


def test_a_changed_value_is_told_with_old_new_and_place(bench: Bench) -> None:
    """The step's reason is the difference, with the line; what follows may be reused."""
    bench.run(bench.experiment("x", chain()))
    path = bench.experiment("x", chain(keep=3))
    line = path.read_text().splitlines().index("    keep: 3") + 1

    plan = bench.plan(path)

    assert states(plan) == {"a": "hit", "t": "run", "u": "maybe", "b": "hit"}
    assert why(plan, "t") == (f"keep 1 -> 3 (x.yaml:{line})",)
    assert why(plan, "u") == ("if t's output changes",)
    assert plan.step("t").against.startswith("x/")


def test_a_changed_file_is_told_by_its_name(bench: Bench) -> None:
    """New content of a file makes its step run; a touched file does not."""
    path = bench.experiment("x", chain())
    bench.run(path)

    os.utime(bench.root / "a.txt")
    touched = bench.plan(path)
    bench.write("a.txt", "another\n")
    changed = bench.plan(path)

    assert touched.idle
    assert states(changed) == {"a": "run", "t": "maybe", "u": "maybe", "b": "hit"}
    assert why(changed, "a") == ("a.txt changed",)


def test_an_output_that_comes_out_the_same_stops_the_change_there(bench: Bench) -> None:
    """`maybe` holds its promise: the trimmed text is the same, so what follows it is reused."""
    path = bench.experiment("x", chain())
    bench.run(path)
    bench.write("a.txt", "another\n")

    manifest = bench.run(path)

    assert statuses(manifest) == {"a": "done", "t": "done", "u": "cached", "b": "cached"}


def test_a_step_that_nothing_can_serve_runs_for_sure(bench: Bench) -> None:
    """With its own value changed as well, a step behind a changed one is `run`, not `maybe`."""
    bench.run(bench.experiment("x", chain()))
    bench.write("a.txt", "another\n")

    plan = bench.plan(bench.experiment("x", chain(keep=2)))

    assert states(plan) == {"a": "run", "t": "run", "u": "maybe", "b": "hit"}
    assert any(text.startswith("keep 1 -> 2") for text in why(plan, "t"))
    assert why(plan, "t")[-1] == "follows a"
    assert "follows " not in why(plan, "t")


def test_going_back_finds_the_older_output(bench: Bench) -> None:
    """A value that was used before is a hit again, however many others came between."""
    path = bench.experiment("x", chain())
    bench.run(path)
    bench.run(bench.experiment("x", chain(keep=2)))
    bench.experiment("x", chain())

    assert bench.plan(path).idle


def test_the_nearest_record_is_the_one_that_differs_least(bench: Bench) -> None:
    """With several earlier runs, the reason compares with the most alike, not with the last."""
    bench.run(bench.experiment("x", chain(keep=2, upper=True)))
    bench.run(bench.experiment("x", chain(keep=9)))

    plan = bench.plan(bench.experiment("x", chain(keep=3, upper=True)))

    assert why(plan, "t")[0].startswith("keep 2 -> 3")


def test_a_file_that_is_gone_blocks_its_step(bench: Bench) -> None:
    """A recorded experiment whose file is gone cannot run there, nor what follows."""
    path = bench.experiment("x", chain())
    opened = bench.opened()
    (compiled,) = opened.compile(path, ())
    (bench.root / "a.txt").unlink()

    plan = opened.planner(compiled, select(compiled)).plan(compiled)

    opened.ledger.close()
    assert states(plan) == {"a": "blocked", "t": "blocked", "u": "blocked", "b": "run"}
    assert why(plan, "a") == ("a.txt: " + message("engine/no-such-file", name="a.path"),)
    assert why(plan, "t") == ("waits for a",)


def test_what_this_machine_lacks_blocks_only_what_would_run(bench: Bench) -> None:
    """A step that cannot run here is blocked with the remedy, but its known output is still a hit."""
    steps = {
        "a": {"uses": "source", "path": "a.txt"},
        "f": {"uses": "far", "from": "a", "seconds": 0.0},
        "t": {"uses": "trim", "from": "f"},
    }
    path = bench.experiment("x", steps)
    bench.write("unplugged", "")
    before = bench.plan(path)
    (bench.root / "unplugged").unlink()
    bench.run(path)
    bench.write("unplugged", "")

    assert states(before) == {"a": "run", "f": "blocked", "t": "blocked"}
    assert why(before, "f") == ("unplugged: remove that file",)
    assert bench.plan(path).idle


def test_a_maybe_that_could_not_run_says_so(bench: Bench) -> None:
    """A step that may be reused, and could not run here otherwise, warns before anything is paid."""
    steps = {
        "a": {"uses": "source", "path": "a.txt"},
        "t": {"uses": "trim", "from": "a"},
        "f": {"uses": "far", "from": "t", "seconds": 0.0},
    }
    path = bench.experiment("x", steps)
    bench.run(path)
    bench.write("a.txt", "another\n")
    bench.write("unplugged", "")

    plan = bench.plan(path)

    assert states(plan) == {"a": "run", "t": "maybe", "f": "maybe"}
    assert why(plan, "f")[-1] == message("engine/and-it-could-not-run-then")


def test_a_job_on_its_way_is_attached_to(bench: Bench) -> None:
    """A step whose job was submitted is not planned as a new one."""
    path = bench.experiment("x", {"f": {"uses": "far"}})
    record = bench.plan(path).step("f").record
    assert record is not None
    opened = bench.opened()
    job = JobRow(
        token="t-1", key=record.key, attempt=1, state=JobState.SUBMITTED, step="x/1 f", request={}, handle="1"
    )
    JobBook(opened.ledger).record(job)
    opened.ledger.close()

    with try_lock(opened.workspace.jobs / "t-1" / "lock", "the job"):
        plan = bench.plan(path)

    assert states(plan) == {"f": "attach"}
    assert why(plan, "f") == (message("engine/job-is-on-its-way", job="t-1"),)


def test_a_job_whose_process_is_dead_is_not_attached_to(bench: Bench) -> None:
    """The plan says that it ended, and the run starts another one, as the plan said."""
    path = bench.experiment("x", {"f": {"uses": "far", "how": "waits"}})
    program = bench.start("run", path)
    eventually(lambda: states(bench.plan(path)) == {"f": "attach"}, "the job to be recorded")
    eventually(lambda: len(bench.children()) == 1, "the job to start")
    pid, token = bench.children()[0].split()
    program.kill()
    os.kill(int(pid), signal.SIGKILL)
    program.communicate()
    eventually(lambda: not is_alive(int(pid)), "the job's process to be gone")

    plan = bench.plan(path)

    assert states(plan) == {"f": "run"}
    assert f"job {token} ended without a result" in why(plan, "f")
    bench.write("open", "")
    assert statuses(bench.run(path)) == {"f": "done"}
    assert len(bench.children()) == 2


# what a command selects


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"until": "t"}, {"a": "run", "t": "run", "u": "skip", "b": "skip"}),
        ({"only": "a"}, {"a": "run", "t": "skip", "u": "skip", "b": "skip"}),
        ({"only": "t"}, {"a": "blocked", "t": "blocked", "u": "skip", "b": "skip"}),
        ({"since": "t"}, {"a": "blocked", "t": "blocked", "u": "blocked", "b": "skip"}),
        ({"since": "a"}, {"a": "run", "t": "run", "u": "run", "b": "skip"}),
        ({"since": "a", "until": "t"}, {"a": "run", "t": "run", "u": "skip", "b": "skip"}),
    ],
)
def test_a_selection_runs_what_it_names(
    bench: Bench, flags: dict[str, str], expected: dict[str, str]
) -> None:
    """What is not selected is skipped; where a selected step needs it, that step is blocked."""
    assert states(bench.plan(bench.experiment("x", chain()), **flags)) == expected


def test_a_selection_uses_what_is_known(bench: Bench) -> None:
    """`--only` a step whose inputs are hits runs it alone."""
    bench.run(bench.experiment("x", chain()))
    path = bench.experiment("x", chain(keep=4))

    manifest = bench.run(path, only="t")

    assert statuses(manifest) == {"a": "cached", "t": "done", "u": "skipped", "b": "cached"}


def test_force_runs_a_hit_and_leaves_the_rest_to_its_output(bench: Bench) -> None:
    """A forced step runs although its output is known; what follows is reused when it comes out the same."""
    path = bench.experiment("x", chain())
    bench.run(path)

    plan = bench.plan(path, force=["t"])
    manifest = bench.run(path, force=["t"])

    assert states(plan) == {"a": "hit", "t": "run", "u": "maybe", "b": "hit"}
    assert why(plan, "t") == ("forced",)
    assert statuses(manifest) == {"a": "cached", "t": "done", "u": "cached", "b": "cached"}


def test_accept_takes_the_earlier_output_for_the_new_key(bench: Bench) -> None:
    """An accepted step is a hit with its own earlier output, recorded as accepted, and stays one."""
    first = bench.run(bench.experiment("x", chain(keep=1)))
    path = bench.experiment("x", chain(keep=5))

    plan = bench.plan(path, accept=["t"])
    manifest = bench.run(path, accept=["t"])

    assert (states(plan)["t"], why(plan, "t")) == ("hit", ("accepted",))
    assert statuses(manifest) == {"a": "cached", "t": "cached", "u": "cached", "b": "cached"}
    assert manifest.steps["t"].accepted
    assert manifest.steps["t"].output == first.steps["t"].output
    assert bench.plan(path).idle


def test_accept_behind_a_step_that_runs_is_planned_as_what_it_is(bench: Bench) -> None:
    """Accepting a step whose input is still to be made is `maybe`, and the run accepts it."""
    bench.run(bench.experiment("x", chain(keep=1)))
    bench.write("a.txt", "another\n")
    path = bench.experiment("x", chain(keep=5))

    plan = bench.plan(path, accept=["t"])
    manifest = bench.run(path, accept=["t"])

    assert (states(plan)["t"], why(plan, "t")) == ("maybe", (message("engine/accepted-after"),))
    assert statuses(manifest) == {"a": "done", "t": "cached", "u": "cached", "b": "cached"}


def test_accept_never_takes_another_steps_output(bench: Bench) -> None:
    """A step that was never made is not accepted, though others of its kind were."""
    bench.run(bench.experiment("x", chain()))
    path = bench.experiment("x", {**chain(), "new": {"uses": "trim", "from": "b", "keep": 4}})

    plan = bench.plan(path, accept=["new"])

    assert states(plan)["new"] == "run"


@pytest.mark.parametrize("flag", ["until", "only", "since"])
def test_a_step_that_does_not_exist_is_told_with_the_nearest(bench: Bench, flag: str) -> None:
    """A misspelt step of a flag names the experiment and the nearest step."""
    path = bench.experiment("x", {"source": {"path": "a.txt"}})

    with pytest.raises(
        UsageError, match="^x: " + matching("general/no-step", step="sauce", suggestion="source") + "$"
    ):
        bench.plan(path, **{flag: "sauce"})
    with pytest.raises(UsageError, match="no step 'sauce'"):
        bench.plan(path, force=["source", "sauce"])


@pytest.mark.parametrize(("count", "each_needs"), [(200, 2), (1_200, 1)])
def test_a_selection_visits_each_step_once(bench: Bench, count: int, each_needs: int) -> None:
    """Many paths to a step cost no more than one, and a long chain needs no recursion."""
    steps: dict[str, Mapping[str, object]] = {
        f"s{n}": {"uses": "gate", "needs": [f"s{n - back}" for back in range(1, each_needs + 1) if n >= back]}
        for n in range(count)
    }
    path = bench.experiment("long", steps)
    last = f"s{count - 1}"

    until, since = bench.plan(path, until=last), bench.plan(path, since="s0")

    assert [state for state in states(until).values() if state == "skip"] == []
    assert set(states(since).values()) == set(states(until).values()) == {"run"}
    assert set(states(bench.plan(path, until="s0")).values()) == {"run", "skip"}


@pytest.mark.parametrize("flag", ["force", "accept"])
def test_a_step_that_is_left_out_is_neither_forced_nor_accepted(bench: Bench, flag: str) -> None:
    """The flag would be without effect, so it is refused with the ways out."""
    path = bench.experiment("x", chain())

    with pytest.raises(UsageError, match=matching("engine/left-out-by-selection", flag=flag)):
        bench.plan(path, until="t", **{flag: ["u"]})
    assert states(bench.plan(path, until="u", **{flag: ["u"]}))["u"] in ("run", "maybe")
