"""An upgrade buys nothing again: a workspace of an earlier version goes on where it was, in another folder.

`before_keys.tar.xz` was made by the last version whose keys held every default (commit 53a1afe; see
make_workspace.py). No server is running for its teachers and its budget allows no request, so whatever is
asked again fails. This must stay as it is after every later change: a failure here is a bill for somebody.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from polytune.engine.jobbook import JobBook
from polytune.engine.ledger import Ledger
from tests.pipeline.program import Program

archive = Path(__file__).with_name("before_keys.tar.xz")
nothing = ("--set", "budget.requests=0")
asking = {"judged": 20, "keyed": 20, "claude": 20, "polychat": 20}
"""Answers that each experiment with a server asks for."""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace as it was left."""
    folder = tmp_path_factory.mktemp("earlier") / "space"
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder


@pytest.fixture
def polytune(unpacked: Path, tmp_path: Path) -> Program:
    """The program in a copy of it."""
    return Program(Path(shutil.copytree(unpacked, tmp_path / "copy", symlinks=True)))


def planned(polytune: Program, name: str, *words: str) -> dict[str, dict[str, Any]]:
    """The steps of a plan."""
    said = polytune("plan", f"{name}.yaml", "--json", *words)
    return {step["id"]: step for step in said.json()[0]["steps"]}


def unnamed(samples: Path) -> list[dict[str, Any]]:
    """The samples of a file, without what their names follow from."""
    named = ("id", "request")
    rows = (json.loads(line) for line in samples.read_text().splitlines())
    return [{name: value for name, value in row.items() if name not in named} for row in rows]


def test_everything_finished_is_found(polytune: Program) -> None:
    """Each finished step is a hit; one line says, once, that the ledger has new keys."""
    first = polytune("plan", "judged.yaml")
    again = polytune("plan", "judged.yaml")

    assert "results and 2 jobs moved to new cache keys" in first.err
    assert again.err == ""
    for name in (*asking, "replayed"):
        states = {step["state"] for step in planned(polytune, name).values()}
        assert states == {"hit"} or name == "judged", name


def test_a_grader_with_a_variable_judges_again(polytune: Program) -> None:
    """Its value was not part of the key, so it is not known which one judged. That costs no answer."""
    step = planned(polytune, "judged")["generate"]

    assert (step["state"], step["because"]) == ("run", ["LEVEL is new"])
    assert step["estimate"]["requests"] == 0
    manifest = polytune.run("judged.yaml", *nothing)
    (before, after) = sorted(polytune.root.glob("runs/judged/*"))
    assert after.name == manifest["run_id"]
    # Only names change, in the provenance; so what is trained on has the same address, and trains nothing.
    for split in ("train", "validation", "test"):
        name = f"format/{split}.jsonl"
        assert (after / name).read_bytes() == (before / name).read_bytes()


def test_what_is_stated_explicitly_now_is_no_reason(polytune: Program) -> None:
    """Each of these is the default already."""
    same = ("teacher.token_limit_key=max_tokens", "teacher.max_tokens=2048", "max_redraws=3", "seed=0")
    words = [word for each in same for word in ("--set", f"steps.generate.{each}")]

    assert {step["state"] for step in planned(polytune, "keyed", *words).values()} == {"hit"}


@pytest.mark.parametrize("name", asking)
def test_no_answer_is_asked_for_again(polytune: Program, name: str) -> None:
    """A forced step finds all its answers under their former identities, also those that were rejected."""
    step = planned(polytune, name, "--force", "generate", *nothing)["generate"]
    assert (step["state"], step["estimate"]["requests"]) == ("run", 0)
    assert step["estimate"]["reused"] >= asking[name]

    manifest = polytune.run(f"{name}.yaml", "--force", "generate", *nothing)

    usage = manifest["steps"]["generate"]["usage"]
    assert usage.get("requests", 0) == 0
    assert usage["reused"] >= asking[name] + (name == "judged")  # which redraws


def test_a_forced_step_makes_what_it_made_before(polytune: Program) -> None:
    """All but the samples' names, which follow from the identities of their answers."""
    (before,) = polytune.root.glob("runs/keyed/*/generate/samples.jsonl")

    manifest = polytune.run("keyed.yaml", "--force", "generate", *nothing)

    after = polytune.root / "runs" / "keyed" / manifest["run_id"] / "generate" / "samples.jsonl"
    assert unnamed(after) == unnamed(before)


def test_a_lost_output_is_known_as_such(polytune: Program) -> None:
    """The training's result is found under its new key; only its weights are gone."""
    steps = planned(polytune, "trained")

    assert {name: step["state"] for name, step in steps.items() if name != "train"} == dict.fromkeys(
        ("generate", "format", "validate", "upload"), "hit"
    )
    assert steps["train"]["because"] == ["its output is lost"]


def test_an_open_job_is_found(polytune: Program) -> None:
    """The job has the key of its step, so a run would attach to it, if its process were not gone."""
    (why,) = planned(polytune, "training")["train"]["because"]

    with closing(Ledger.open(polytune.root / "runs" / "ledger.sqlite3")) as ledger:
        (job,) = JobBook(ledger).open_jobs()
    assert why == f"job {job.token} ended without a result"


def test_a_failed_run_is_resumed_with_the_answers_that_it_has(polytune: Program) -> None:
    """The plan asks only for those that failed."""
    estimate = planned(polytune, "failed")["generate"]["estimate"]

    assert estimate["reused"] > 0
    assert estimate["reused"] + estimate["requests"] == 20
    assert "failed" in polytune("status", "failed").out


def test_nothing_is_lost_on_the_way(polytune: Program) -> None:
    """Every result and answer is there afterwards, and only the weights that were left out are missing."""
    ledger = polytune.root / "runs" / "ledger.sqlite3"
    with closing(sqlite3.connect(ledger)) as connection:
        (before,) = connection.execute("SELECT count(*) FROM results").fetchone()
        (answers,) = connection.execute("SELECT count(*) FROM answers").fetchone()

    polytune("ls")

    with closing(sqlite3.connect(ledger)) as connection:
        assert connection.execute("SELECT count(*) FROM results").fetchone() == (before,)
        assert connection.execute("SELECT count(*) FROM answers").fetchone() == (answers,)
    lost = [line for line in polytune("ledger", "verify").out.splitlines() if "lost" in line]
    assert all("/trained/" in line for line in lost)
