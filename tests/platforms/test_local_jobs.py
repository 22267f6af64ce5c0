"""Training jobs of this machine at the command line, without an account of any cloud."""

from __future__ import annotations

import os
import re
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
