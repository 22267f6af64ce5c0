"""Training jobs of this machine at the command line, without an account of any cloud."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.cloud_commands.cloud_program import Done, clean_environment, invoked


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project, in which nothing has been trained yet."""
    folder = tmp_path_factory.mktemp("local") / "songs"
    assert invoked("init", str(folder)).code == 0
    return folder


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing on this machine leads to an account of AWS."""
    for name in os.environ.keys() - clean_environment().keys():
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def program(folder: Path, *words: str) -> Done:
    """polytune in the project; nobody answers its questions."""
    return invoked(*words, "--workspace", str(folder))


def detached(folder: Path, epochs: int) -> tuple[str, str]:
    """A training has been left on its way: its token, and what the run printed."""
    file = str(folder / "experiments/songs.yaml")
    change = f"steps.train.epochs={epochs}"
    done = program(folder, "run", file, "--until", "train", "--set", change, "--detach")
    found = re.search(r"polytune job stop (\S+)", done.out + done.err)
    assert found is not None, done.err
    return found[1], done.out + done.err


def test_a_detached_training_is_stopped_and_trained_again(project: Path) -> None:
    """The run says how to stop it, without a word of processes; `resume` starts another attempt."""
    token, said = detached(project, epochs=200)

    running = program(project, "job", "status", token, "--json")
    refused = program(project, "job", "stop", token)
    stopped = program(project, "job", "stop", token, "--yes", "--json")
    again = program(project, "job", "stop", token, "--yes")
    resumed = program(project, "resume", "--detach")
    next_one = token.replace("-1", "-2")
    ended = program(project, "job", "stop", next_one, "--yes")

    assert "kill" not in said
    assert (running.json["platform"], running.json["status"]) == ("local", "InProgress")
    assert (refused.code, "--yes answers yes" in refused.err) == (2, True)
    assert (stopped.code, stopped.json["status"]) == (0, "Failed")
    assert (again.code, "there is nothing to stop" in again.err) == (2, True)
    assert next_one in resumed.out + resumed.err
    assert ended.code == 0


def test_local_jobs_need_no_account(project: Path) -> None:
    """They are listed and watched to their end with a curve; that nobody is signed in to AWS is one line."""
    token, _ = detached(project, epochs=2)

    watched = program(project, "job", "watch", token, "--interval", "0.1")
    listed = program(project, "job", "list", "--json")
    narrowed = program(project, "job", "list", "--platform", "local", "--status", "completed")

    assert watched.code == 0, watched.err
    assert "• training loss" in watched.out
    assert listed.code == 0
    assert {job["platform"] for job in listed.json} == {"local"}
    assert [job["id"] for job in listed.json if job["status"] == "Completed"] == [token]
    assert listed.err.count("bedrock could not be asked") == len(listed.err.splitlines()) == 1
    assert (narrowed.code, narrowed.err, token in narrowed.out) == (0, "", True)


def test_an_unknown_platform_has_a_nearest_name(project: Path) -> None:
    """`--platform lokal` asks nobody."""
    done = program(project, "job", "list", "--platform", "lokal")

    assert (done.code, "Did you mean 'local'?" in done.err) == (2, True)


def test_a_training_goes_on_in_a_workspace_that_was_moved(tmp_path: Path) -> None:
    """Its process works on in the new place, where the run attaches to it; no second one is started."""
    assert invoked("init", str(tmp_path / "songs")).code == 0
    token, _ = detached(tmp_path / "songs", epochs=4)
    moved = (tmp_path / "songs").rename(tmp_path / "moved")
    file = str(moved / "experiments/songs.yaml")

    plan = program(moved, "plan", file, "--set", "steps.train.epochs=4", "--json").json
    resumed = program(moved, "resume", "--json")
    listed = program(moved, "job", "list", "--platform", "local", "--json").json

    assert {step["id"]: step["state"] for step in plan[0]["steps"]}["train"] == "attach"
    assert resumed.code == 0, resumed.err
    assert resumed.json["steps"]["train"]["status"] == "done"
    assert [(job["id"], job["status"]) for job in listed] == [(token, "Completed")]
    assert not (tmp_path / "songs").exists()


def test_a_copy_of_a_workspace_has_no_part_in_its_training(tmp_path: Path) -> None:
    """The copy knows of the job and sees no process at work on it; it trains by itself, and says why."""
    assert invoked("init", str(tmp_path / "songs")).code == 0
    token, _ = detached(tmp_path / "songs", epochs=200)
    shutil.copytree(tmp_path / "songs", tmp_path / "copy")
    program(tmp_path / "songs", "job", "stop", token, "--yes")
    file = str(tmp_path / "copy/experiments/songs.yaml")

    plan = program(tmp_path / "copy", "plan", file, "--set", "steps.train.epochs=200", "--json").json
    again, _ = detached(tmp_path / "copy", epochs=200)
    program(tmp_path / "copy", "job", "stop", again, "--yes")

    train = next(step for step in plan[0]["steps"] if step["id"] == "train")
    assert (train["state"], "ended without a result" in str(train)) == ("run", True)
    assert again == token.replace("-1", "-2")
