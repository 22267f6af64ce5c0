"""Whole runs that ask Bedrock in a batch: killed at the worst moments, one job is bought all the same."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.bedrock.cloud import Cloud, Door, file
from tests.messages import message

from .bedrock_asking import batch_jobs, calls

create = r"POST /model-invocation-job$"
look = r"GET /model-invocation-job/"
output = r"GET /.*records\.jsonl\.out"
words = (
    "run",
    file,
    "--yes",
    "--until",
    "generate",
    "--set",
    "steps.generate.teacher={kind: bedrock_batch, model: nova-pro}",
    "--set",
    "steps.generate.count=120",
)


def finished(cloud: Cloud, root: Path, *said: str) -> dict[str, Any]:
    """The manifest of a run that went on to its end, in an account that has seen one batch job."""
    answer = cloud.said(root, *(said or words), "--yes", "--json")
    assert answer.code == 0, answer.err
    assert [job["status"] for job in batch_jobs(cloud)] == ["Completed"]
    assert calls(cloud, "Converse") == 0
    manifest: dict[str, Any] = json.loads(answer.out)
    return manifest


def killed(
    cloud: Cloud, root: Path, pattern: str, when: Literal["before", "after"], door: Door | None = None
) -> None:
    """A run was killed at the first call through the door (Bedrock's) that fits the pattern."""
    passed = door or cloud.door
    passed.pattern, passed.when = pattern, when
    with cloud.start(root, *words) as process:
        passed.victim = process.pid
        _, err = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, err
    assert passed.killed, "the call never came"


def test_a_run_of_a_hundred_and_twenty_samples(cloud: Cloud, tmp_path: Path) -> None:
    """`polytune run` asks in one job, tells its stages, and the next run has nothing to do."""
    manifest = finished(cloud, tmp_path)
    plan = cloud.said(tmp_path, "plan", *words[1:2], *words[3:])
    again = cloud.said(tmp_path, *words)

    step = manifest["steps"]["generate"]
    assert step["usage"]["requests"] == step["metrics"]["samples"] == 120
    assert step["usage"]["usd"] > 0
    assert message("teachers/nothing-to-do") in plan.out
    assert again.code == 0
    assert len(batch_jobs(cloud)) == 1


@pytest.mark.parametrize(
    ("pattern", "when"),
    [(create, "before"), (create, "after"), (look, "before"), (look, "after")],
    ids=["intent", "called, not recorded", "recorded, not looked", "polling"],
)
def test_a_killed_run_goes_on_with_its_job(
    cloud: Cloud, tmp_path: Path, pattern: str, when: Literal["before", "after"]
) -> None:
    """Killed between any two steps of the protocol, the run is continued and nothing is bought again."""
    killed(cloud, tmp_path, pattern, when)

    manifest = finished(cloud, tmp_path, "resume")

    assert manifest["steps"]["generate"]["usage"]["requests"] == 120


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_killed_as_it_collects_buys_nothing_again(
    cloud: Cloud, tmp_path: Path, when: Literal["before", "after"]
) -> None:
    """The job is over and the run dies as it reads the output: the answers are collected by the next one."""
    killed(cloud, tmp_path, output, when, cloud.storage)

    finished(cloud, tmp_path, "resume")


def test_a_lost_ledger_finds_the_job(cloud: Cloud, tmp_path: Path) -> None:
    """With all that polytune remembers gone after the call, the same questions have the same job."""
    killed(cloud, tmp_path, create, "after")
    for path in tmp_path.glob("runs/ledger.sqlite3*"):
        path.unlink()

    finished(cloud, tmp_path)


def test_a_colleague_joins_the_job(cloud: Cloud, tmp_path: Path) -> None:
    """The same experiment in another workspace of the same account takes the answers that are there."""
    finished(cloud, tmp_path / "mine")

    finished(cloud, tmp_path / "theirs")

    samples = [next((tmp_path / who).rglob("samples.jsonl")).read_bytes() for who in ("mine", "theirs")]
    assert samples[0] == samples[1]


def test_an_expired_token_pauses_the_run(cloud: Cloud, tmp_path: Path) -> None:
    """The exit code says that it is paused, and resume collects."""
    cloud.faults({"kind": "expired_token", "operation": "GetModelInvocationJob", "times": 1, "after": 2})

    said = cloud.said(tmp_path, *words)

    assert said.code == 75
    assert message("teachers/looking-at-it-needs-credentials") in said.out + said.err
    finished(cloud, tmp_path, "resume")
