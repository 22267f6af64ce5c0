"""`polytune gc`: what no kept run needs goes, and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from polytune.engine.garbage import RemovalKind, find_garbage, remove
from polytune.engine.ledger import Ledger
from polytune.engine.locks import try_lock
from polytune.engine.workspace import Workspace
from polytune.files import digest_of
from tests.cli.cli_program import Polytune, file, start
from tests.messages import message

grown = ("steps.generate.count=44", "steps.generate.count=48")


@pytest.fixture
def three(space: Path) -> Path:
    """A workspace with three runs that share no step, but their answers."""
    for change in grown:
        assert start(space, "run", file, "--set", change).returncode == 0
    return space


@pytest.fixture
def opened(space: Path) -> Iterator[tuple[Workspace, Ledger]]:
    """The workspace of one run, and its ledger."""
    workspace = Workspace(space)
    with closing(Ledger.open(workspace.ledger)) as ledger:
        yield workspace, ledger


def runs(folder: Path) -> list[str]:
    """The ids of the runs that have a folder, oldest first."""
    return sorted(path.name for path in folder.glob("runs/lines/*"))


def contents(folder: Path) -> set[Path]:
    """Every file but the ledger's, which any look at it may change."""
    files = {Path(place, name) for place, _, names in os.walk(folder / "runs") for name in names}
    return {path for path in files if not path.name.startswith("ledger.sqlite3")}


def collected(opened: tuple[Workspace, Ledger], kind: RemovalKind, *, keep: int = 5) -> list[Path]:
    """What of one kind would go."""
    workspace, ledger = opened
    return [each.path for each in find_garbage(workspace, ledger, keep).removals if each.kind is kind]


def test_a_dry_run_removes_nothing(polytune: Polytune, three: Path) -> None:
    """Without --yes, gc lists runs and bytes and leaves every file where it is."""
    before = contents(three)

    done = polytune(three, "gc", "--keep", "1")

    assert contents(three) == before
    assert done.returncode == 0
    assert all(f"runs/lines/{run}" in done.stdout for run in runs(three)[:2])
    assert runs(three)[2] not in done.stdout
    assert message("cli/nothing-was-removed") in done.stdout


def test_old_runs_go_and_the_kept_one_still_works(polytune: Polytune, three: Path) -> None:
    """After gc the latest run plans as a hit and verifies as sound; the others and their objects are gone."""
    latest = runs(three)[2]
    stored = len(list(three.glob("runs/objects/sha256/*/*")))

    done = polytune(three, "gc", "--keep", "1", "--yes", "--json")

    report = json.loads(done.stdout)
    assert report["applied"]
    assert report["kept_runs"] == 1
    assert runs(three) == [latest]
    assert len(list(three.glob("runs/objects/sha256/*/*"))) < stored / 2
    assert polytune(three, "plan", file, "--set", grown[1]).returncode == 0
    assert polytune(three, "ledger", "verify").returncode == 0
    assert [row["run_id"] for row in json.loads(polytune(three, "ls", "--json").stdout)] == [latest]
    assert polytune(three, "resume", "lines").stderr.endswith(message("cli/is-finished") + "\n")


def test_a_second_gc_finds_nothing(polytune: Polytune, three: Path) -> None:
    """What gc leaves is exactly what it would leave again."""
    polytune(three, "gc", "--keep", "1", "--yes")

    assert message("cli/nothing-to-remove") in polytune(three, "gc", "--keep", "1").stdout


def test_answers_stay(polytune: Polytune, three: Path) -> None:
    """A run whose outputs went is made again without asking anything."""
    polytune(three, "gc", "--keep", "1", "--yes")

    (planned,) = json.loads(polytune(three, "plan", file, "--json").stdout)

    generate = planned["steps"][0]
    assert (generate["state"], generate["estimate"]["requests"]) == ("run", 0)
    assert generate["estimate"]["reused"] == 40


def test_a_run_that_a_kept_one_takes_from_stays(polytune: Polytune, space: Path) -> None:
    """The run that made a cached step is kept however old it is, and its results with it."""
    changed = ("--set", "steps.format.seed=8")
    assert polytune(space, "run", file, *changed).returncode == 0
    first, second = runs(space)
    assert (space / "runs/lines" / second / "generate").is_symlink()

    polytune(space, "gc", "--keep", "1", "--yes")

    assert runs(space) == [first, second]
    assert (space / "runs/lines" / second / "generate" / "samples.jsonl").is_file()
    assert polytune(space, "plan", file, *changed).returncode == 0
    assert polytune(space, "ledger", "verify").returncode == 0


def test_experiments_are_counted_apart(polytune: Polytune, space: Path) -> None:
    """Each experiment keeps its own latest runs."""
    assert polytune(space, "run", file, "--set", "name=other", "--set", grown[0]).returncode == 0

    found = json.loads(polytune(space, "gc", "--keep", "1", "--json").stdout)

    assert found["kept_runs"] == 2
    assert [each for each in found["removals"] if each["kind"] == "run"] == []


def test_what_is_worked_on_is_untouched(polytune: Polytune, space: Path) -> None:
    """While a run is locked, neither it nor any object or run that it may find goes; other runs do."""
    sets = [f"steps.{step}.seed=9" for step in ("generate", "format")]
    other = [word for change in ("name=other", *sets) for word in ("--set", change)]
    assert polytune(space, "run", file, "--set", grown[0]).returncode == 0
    assert polytune(space, "run", file, *other, "--until", "format").returncode == 0
    oldest, latest = runs(space)
    objects = set(space.glob("runs/objects/sha256/*/*"))

    with try_lock(Workspace(space).run_folder("lines", latest) / ".lock", "test"):
        done = polytune(space, "gc", "--keep", "0", "--yes")

    assert runs(space) == [oldest, latest]
    assert not (space / "runs" / "other").exists()
    assert set(space.glob("runs/objects/sha256/*/*")) == objects
    assert latest in done.stderr
    assert polytune(space, "plan", file, "--set", grown[0]).returncode == 0


def test_what_a_spec_names_stays_for_diff(polytune: Polytune, three: Path) -> None:
    """The prompts of a kept run are in the store after gc, so that diff can still show them."""
    polytune(three, "gc", "--keep", "1", "--yes")

    digest = digest_of(three / "prompts" / "lines.yaml")
    assert (three / "runs/objects/sha256" / digest[:2] / digest[2:]).is_file()


def test_nothing_is_kept_of_an_experiment_on_request(polytune: Polytune, space: Path) -> None:
    """--keep 0 removes every run with all that was stored for it; the answers stay."""
    polytune(space, "gc", "--keep", "0", "--yes")

    left = {path.relative_to(space / "runs").as_posix() for path in contents(space)}
    assert left == {".gitignore", ".gc.lock"}
    assert "40 answers reused, 0 to ask" in polytune(space, "plan", file).stdout


@pytest.mark.parametrize(
    ("token", "result", "goes"),
    [
        ("0" * 32 + "-1", '{"status": "completed"}', False),
        ("0" * 32 + "-1", '{"status": "failed"}', True),
        ("0" * 32 + "-1", None, True),
        ("known", '{"status": "completed"}', True),
    ],
    ids=["completed and not collected", "failed", "lost", "collected"],
)
def test_folders_of_ended_jobs_go(
    opened: tuple[Workspace, Ledger], token: str, result: str | None, goes: bool
) -> None:
    """A job's folder goes when its result is recorded or it left none, never while a result waits in it."""
    workspace, ledger = opened
    known = next(ledger.results()).record.key[:32] + "-1"
    folder = workspace.jobs / (known if token == "known" else token)
    folder.mkdir(parents=True)
    if result is not None:
        (folder / "result.json").write_text(result)

    assert collected(opened, RemovalKind.JOB) == ([folder] if goes else [])


def test_a_running_job_s_folder_stays(opened: tuple[Workspace, Ledger]) -> None:
    """A job whose process lives holds its lock, and so keeps its folder."""
    workspace, _ = opened

    with try_lock(workspace.jobs / "token-1" / "lock", "test"):
        assert collected(opened, RemovalKind.JOB) == []
    assert collected(opened, RemovalKind.JOB) == [workspace.jobs / "token-1"]


def test_half_written_outputs_and_free_locks_go(opened: tuple[Workspace, Ledger]) -> None:
    """What a killed run left in a kept run's folder goes, and so do locks that nobody holds."""
    workspace, ledger = opened
    (run,) = workspace.runs.glob("lines/*")
    (run / ".train.partial").mkdir()
    (run / ".train.partial" / "half").write_text("x" * 100)
    (run / ".manifest.json.1.ab.tmp").write_text("{")
    (workspace.locks / "free").write_text("")

    with try_lock(workspace.locks / "held", "test"):
        found = find_garbage(workspace, ledger, 5)
        remove(found, workspace, ledger)
        assert {path.name for path in workspace.locks.iterdir()} == {"held"}

    partials = {each.path.name: each.bytes for each in found.removals if each.kind is RemovalKind.PARTIAL}
    assert partials == {".train.partial": 100, ".manifest.json.1.ab.tmp": 1}
    assert sorted(path.name for path in run.glob(".*")) == [".lock"]


def test_what_is_taken_up_meanwhile_stays(opened: tuple[Workspace, Ledger]) -> None:
    """A run that somebody resumes between the look and the removal is left alone, with its results."""
    workspace, ledger = opened
    (run,) = workspace.runs.glob("lines/*")
    found = find_garbage(workspace, ledger, 0)
    results = len(list(ledger.results()))

    with try_lock(run / ".lock", "test"):
        gone = remove(found, workspace, ledger)

    assert not any(each.kind is RemovalKind.RUN for each in gone)
    assert (run / "generate" / "samples.jsonl").is_file()
    assert len(list(ledger.results())) == results


def test_storage_outside_runs_is_never_touched(opened: tuple[Workspace, Ledger]) -> None:
    """A resource of a removed run goes only if it lies in a hidden folder of `runs/`."""
    workspace, ledger = opened
    precious = workspace.root / "precious"
    precious.write_text("mine")
    bodies = ledger.connection.execute("SELECT key, body FROM results WHERE kind = 'upload'").fetchall()
    for key, body in bodies:
        changed = json.loads(body) | {"resources": {"a": "file:precious", "b": "file:runs/../precious"}}
        ledger.connection.execute(
            "UPDATE results SET body = ? WHERE key = ?", (json.dumps(changed).encode(), key)
        )

    storage = collected(opened, RemovalKind.STORAGE, keep=0)

    assert precious not in storage
    assert all(path.is_relative_to(workspace.buckets) for path in storage)
