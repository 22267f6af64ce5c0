"""Runs: what works goes on, what fails is told once and in its own words, and everything is left tidy."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from polytune.engine.garbage import RemovalKind, find_garbage, remove
from polytune.errors import SpecError
from tests.engine.engine_bench import Bench, eventually, outputs, states, statuses
from tests.messages import matching, message


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A workspace with one text."""
    made = Bench.made(tmp_path, monkeypatch)
    made.write("a.txt", "one\n")
    return made


source = {"uses": "source", "path": "a.txt"}


def test_a_failing_step_stops_what_follows_and_nothing_else(bench: Bench) -> None:
    """Steps behind a failure are skipped with its name, steps beside it finish; mending it does the rest."""
    steps = {
        "a": source,
        "f": {"uses": "flaky"},
        "t": {"uses": "trim", "from": "f"},
        "u": {"uses": "trim", "from": "t"},
        "b": {"uses": "trim", "from": "a"},
    }
    path = bench.experiment("x", steps)
    bench.write("broken", "on purpose")

    failed = bench.run(path)
    (bench.root / "broken").unlink()
    mended = bench.run(path)

    assert failed.status == "failed"
    assert statuses(failed) == {"a": "done", "f": "failed", "t": "skipped", "u": "skipped", "b": "done"}
    assert failed.steps["f"].message == "broken: on purpose"
    assert failed.steps["t"].message == message("engine/f-did-not-finish")
    assert statuses(mended) == {"a": "cached", "f": "done", "t": "done", "u": "done", "b": "cached"}


def test_a_failure_inside_a_task_group_keeps_its_own_words(bench: Bench) -> None:
    """Eight workers that fail alike are one sentence, and no defect."""
    bench.write("broken", "")

    manifest = bench.run(bench.experiment("x", {"q": {"uses": "asker"}}))

    assert manifest.steps["q"].message == "the service is down"


def test_needs_orders_steps_between_which_nothing_flows(bench: Bench) -> None:
    """A step waits for what it needs, and is skipped when that fails."""
    path = bench.experiment("x", {"a": {**source, "needs": ["f"]}, "f": {"uses": "flaky"}})
    first = bench.run(path)
    order = bench.begun()
    bench.write("broken", "on purpose")

    second = bench.run(path, force=["f"])

    assert statuses(first) == {"f": "done", "a": "done"}
    assert order == ["f", "a"]
    assert statuses(second) == {"f": "failed", "a": "skipped"}


def test_independent_steps_run_at_the_same_time(bench: Bench) -> None:
    """Two steps that wait for each other's sign could not finish one after the other."""
    path = bench.experiment("x", {"g": {"uses": "gate"}, "p": {"uses": "placer", "place": "open"}})

    manifest = bench.run(path)

    assert statuses(manifest) == {"g": "done", "p": "done"}


def test_only_what_was_promised_is_kept(bench: Bench) -> None:
    """A promised folder is kept with all in it; scratch files of a step are not part of its artifact."""
    manifest = bench.run(bench.experiment("x", {"p": {"uses": "placer", "place": "exports/p.txt"}}))

    output = manifest.steps["p"].output
    assert output is not None
    assert sorted(output.files) == ["exports/p.txt", "more/deep/x.txt", "out.txt"]
    assert output.files["exports/p.txt"].path == "exports/p.txt"
    assert (bench.root / "exports" / "p.txt").read_text() == "p\n"


def test_what_is_placed_outside_of_runs_has_usual_permissions(bench: Bench) -> None:
    """Also when it is restored: a workspace is private, an export is for whoever the user's files are for."""
    path = bench.experiment("x", {"p": {"uses": "placer", "place": "exports/p.txt"}})
    export = bench.root / "exports" / "p.txt"
    (bench.root / "any").touch()
    usual = (bench.root / "any").stat().st_mode

    for gone in ((), (export,)):
        for each in gone:
            each.unlink()
        assert bench.call("run", path).returncode == 0
        assert export.stat().st_mode == usual
    for output in bench.root.glob("runs/x/*/p/out.txt"):
        assert output.stat().st_mode & 0o777 == 0o600


def test_a_broken_promise_fails_the_step(bench: Bench) -> None:
    """A step that did not write what it says it wrote is told so; nothing of it is recorded."""
    path = bench.experiment("x", {"p": {"uses": "placer", "place": "p.txt", "promise": "other.txt"}})

    manifest = bench.run(path)

    assert manifest.steps["p"].message == message("engine/step-promised-but-did-not-write", path="other.txt")
    assert states(bench.plan(path)) == {"p": "run"}


def test_a_file_that_changes_under_a_working_step_spoils_its_output(bench: Bench) -> None:
    """An output made from two versions of a file is recorded under neither."""
    path = bench.experiment("x", {"g": {"uses": "gate", "path": "a.txt"}})

    def change() -> None:
        eventually(lambda: bench.begun() == ["g"], "the step to begin")
        bench.write("a.txt", "two\n")
        bench.write("open", "")

    changing = threading.Thread(target=change)
    changing.start()
    spoilt = bench.run(path)
    changing.join()
    again = bench.run(path)

    assert spoilt.steps["g"].message.startswith(
        message("engine/changed-while-step-was-running", path="a.txt")
    )
    assert statuses(again) == {"g": "done"}


def test_a_placed_file_that_was_changed_is_brought_back(bench: Bench) -> None:
    """An export that somebody edited is not believed: the plan restores it, and the run does."""
    path = bench.experiment("x", {"p": {"uses": "placer", "place": "exports/p.txt"}})
    bench.run(path)
    bench.write("exports/p.txt", "edited")

    plan = bench.plan(path)
    bench.run(path)

    assert plan.step("p").because == (message("engine/output-file-is-tampered"),)
    assert (bench.root / "exports" / "p.txt").read_text() == "p\n"
    assert len(bench.begun()) == 1


def folder(place: Path) -> None:
    """A folder with something in it."""
    (place / "deep").mkdir(parents=True)
    (place / "deep/file").write_text("foreign")


def foreign(place: Path) -> Path:
    """The folder outside `runs/` that links lead to."""
    return next(parent for parent in place.parents if parent.name == "runs").parent / "foreign"


obstructions: dict[str, Callable[[Path], None]] = {
    "folder": folder,
    "link to nothing": lambda place: place.symlink_to("nowhere"),
    "link to a file": lambda place: place.symlink_to(foreign(place) / "deep/file"),
    "link to a folder": lambda place: place.symlink_to(foreign(place)),
    "pipe": os.mkfifo,
}


@pytest.mark.parametrize("obstruction", list(obstructions))
@pytest.mark.parametrize("what", ["output", "its folder"])
def test_whatever_is_in_the_place_of_an_output_gives_way(bench: Bench, what: str, obstruction: str) -> None:
    """The output is back, byte for byte, the next plan is a hit, and what a link led to is as it was."""
    folder(bench.root / "foreign")
    path = bench.experiment("x", {"a": source})
    output = bench.run(path).steps["a"].output
    assert output is not None
    place = bench.root / output.files["out.txt"].path
    instead = place if what == "output" else place.parent
    instead.rename(bench.root / "aside")
    obstructions[obstruction](instead)

    restored = bench.run(path)

    assert statuses(restored) == {"a": "cached"}
    assert place.read_text(encoding="utf-8") == "one\n"
    assert states(bench.plan(path)) == {"a": "hit"}
    assert sorted(each.name for each in (bench.root / "foreign").rglob("*")) == ["deep", "file"]
    assert (bench.root / "foreign/deep/file").read_text() == "foreign"


def test_a_folder_in_the_place_of_an_export_is_not_touched(bench: Bench) -> None:
    """It lies outside `runs/` and may be anybody's: the step fails and says what to do."""
    path = bench.experiment("x", {"p": {"uses": "placer", "place": "exports/p.txt"}})
    bench.run(path)
    (bench.root / "exports/p.txt").unlink()
    folder(bench.root / "exports/p.txt")

    failed = bench.run(path)

    assert failed.steps["p"].message == message("engine/folder-in-place-of-export")
    assert (bench.root / "exports/p.txt/deep/file").read_text() == "foreign"


def test_what_a_run_reuses_after_gc_has_listed_it_stays(bench: Bench) -> None:
    """A run that starts between the list and the removal keeps everything that it found in the cache."""
    bench.run(bench.experiment("x", {"a": source}))
    path = bench.experiment("y", {"a": source, "g": {"uses": "gate", "label": "g", "needs": ["a"]}})
    opened = bench.opened()
    listed = find_garbage(opened.workspace, opened.ledger, keep=0)
    program = bench.start("run", path)
    eventually(lambda: bench.begun()[-1] == "g", "the run to reuse the first step and begin the second")
    gone = remove(listed, opened.workspace, opened.ledger)
    bench.write("open", "")
    program.communicate()
    opened.ledger.close()

    assert [each for each in listed.removals if each.kind is RemovalKind.RUN]
    assert not [each for each in gone if each.kind in (RemovalKind.RUN, RemovalKind.OBJECT)]
    assert states(bench.plan(path)) == {"a": "hit", "g": "hit"}


def test_nothing_unfinished_is_left_in_a_finished_runs_folder(bench: Bench) -> None:
    """No temporary or partial file stays beside the outputs."""
    manifest = bench.run(bench.experiment("x", {"a": source, "t": {"uses": "trim", "from": "a"}}))

    folder = bench.root / "runs" / "x" / manifest.run_id
    names = {path.name for path in folder.rglob("*")}
    expected = {"manifest.json", "compiled.json", "spec.yaml", "events.jsonl", ".lock", "a", "t", "out.txt"}
    assert names == expected


def test_an_old_output_that_is_lost_altogether_is_made_again(bench: Bench) -> None:
    """Without the file and without a sound object the step runs, and what follows is still known."""
    path = bench.experiment("x", {"a": source, "t": {"uses": "trim", "from": "a"}})
    first = bench.run(path)
    (bench.root / "runs" / "x" / first.run_id / "a" / "out.txt").unlink()
    for each in (bench.root / "runs" / "objects").rglob("*"):
        if each.is_file() and each.read_text() == "one\n":
            each.write_text("0ne\n")

    plan = bench.plan(path)
    second = bench.run(path)

    assert states(plan) == {"a": "run", "t": "maybe"}
    assert plan.step("a").because == (message("engine/its-output-is-lost"),)
    assert statuses(second) == {"a": "done", "t": "cached"}
    assert outputs(second) == outputs(first)


def test_a_renamed_step_keeps_its_output(bench: Bench) -> None:
    """The id of a step is not part of its key."""
    bench.run(bench.experiment("x", {"a": {**source, "label": "same"}}))

    second = bench.run(bench.experiment("x", {"other": {**source, "label": "same"}}))

    assert statuses(second) == {"other": "cached"}


def test_another_experiment_shares_what_is_the_same(bench: Bench) -> None:
    """Two experiments of one workspace do their common steps once."""
    bench.run(bench.experiment("x", {"a": source, "t": {"uses": "trim", "from": "a", "keep": 1}}))

    other = bench.run(bench.experiment("y", {"a": source, "t": {"uses": "trim", "from": "a", "keep": 2}}))

    assert statuses(other) == {"a": "cached", "t": "done"}


def test_wiring_faults_are_told_at_their_place(bench: Bench) -> None:
    """An ambiguity of a real file is a problem with its line, like any other."""
    path = bench.experiment("x", {"a": source, "b": source, "t": {"uses": "trim"}})

    with pytest.raises(
        SpecError, match=r"x\.yaml:\d+:\d+: steps\.t: " + matching("engine/could-come-from", name="text")
    ):
        bench.plan(path)
