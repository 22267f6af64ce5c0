"""Exactly one job: whatever dies, is lost or comes twice, the account has seen one job and one deployment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest

from polytune.aws.access import Access
from tests.bedrock.cloud import Cloud, file, small
from tests.messages import message

create = r"POST /model-customization-jobs$"
look = r"GET /model-customization-jobs/"
deploy = r"POST /model-customization/custom-model-deployments$"


def finished(cloud: Cloud, root: Path, *words: str) -> dict[str, Any]:
    """The manifest of a run that went on to its end, in an account with one job and one deployment."""
    said = cloud.said(root, *(words or ("run", file, *small)), "--json")
    assert said.code == 0, said.err
    assert [job["status"] for job in cloud.jobs] == ["Completed"]
    assert [each["status"] for each in cloud.deployments] == ["Active"]
    manifest: dict[str, Any] = json.loads(said.out)
    assert {step["status"] for step in manifest["steps"].values()} <= {"done", "cached"}
    return manifest


def finished_again(cloud: Cloud, root: Path, *words: str) -> dict[str, Any]:
    """The manifest of a run that must succeed, whatever the account holds."""
    said = cloud.said(root, *words, "--json")
    assert said.code == 0, said.err
    manifest: dict[str, Any] = json.loads(said.out)
    return manifest


@pytest.mark.parametrize(
    ("pattern", "when"),
    [(create, "before"), (create, "after"), (look, "before"), (look, "after"), (deploy, "after")],
    ids=["intent", "called, not recorded", "recorded, not looked", "polling", "deployed, not recorded"],
)
def test_a_killed_run_goes_on_with_its_job(
    cloud: Cloud, tmp_path: Path, pattern: str, when: Literal["before", "after"]
) -> None:
    """Killed between any two steps of the protocol, the run is continued and nothing is bought again."""
    cloud.killed(tmp_path, pattern, when)

    finished(cloud, tmp_path, "resume")


def test_a_run_killed_before_it_intends_anything(cloud: Cloud, tmp_path: Path) -> None:
    """Killed in the middle of the upload, before any job is thought of: the rest is sent, one job is made."""
    cloud.killed(tmp_path, r"(HEAD|PUT) .*/train\.jsonl", "after", cloud.storage)
    assert cloud.jobs == []

    finished(cloud, tmp_path, "resume")


def test_a_stable_name_stays_and_its_model_changes(cloud: Cloud, tmp_path: Path) -> None:
    """Behind a stable name a second model takes the first one's place, and the ARN is the same."""
    named = ("run", file, *small, "--set", "steps.deploy.name=strudel-live")
    first = finished(cloud, tmp_path, *named)

    said = cloud.said(tmp_path, *named, "--set", "steps.train.epochs=3", "--json")

    assert said.code == 0, said.err
    second = json.loads(said.out)
    arns = [run["steps"]["deploy"]["resources"]["deployment"] for run in (first, second)]
    assert arns[0] == arns[1]
    (deployment,) = cloud.deployments
    assert deployment["name"] == "strudel-live"
    models = [run["steps"]["train"]["resources"]["model"] for run in (first, second)]
    assert models[1] in json.dumps(deployment)

    plan = cloud.said(tmp_path, "plan", *named[1:]).out
    assert message("bedrock/deployment-of-this-model-no-longer") in plan
    again = finished_again(cloud, tmp_path, *named)
    assert again["steps"]["train"]["status"] == "cached"
    assert models[0] in json.dumps(cloud.deployments)
    assert models[1] not in json.dumps(cloud.deployments)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_ledger_finds_the_job(cloud: Cloud, tmp_path: Path, when: Literal["before", "after"]) -> None:
    """With all that polytune remembers gone right around the call, the same work has the same job."""
    cloud.killed(tmp_path, create, when)
    for path in tmp_path.glob("runs/ledger.sqlite3*"):
        path.unlink()

    finished(cloud, tmp_path)


def test_a_dropped_and_a_cut_answer_buy_nothing_twice(cloud: Cloud, tmp_path: Path) -> None:
    """The work is done and its answer lost, then cut off with a success status: still one of each."""
    cloud.faults(
        {"kind": "drop_answer", "operation": "CreateModelCustomizationJob", "times": 1},
        {"kind": "cut_body", "operation": "CreateModelCustomizationJob", "times": 1, "framed": True},
        {"kind": "cut_body", "operation": "GetModelCustomizationJob", "times": 2, "bytes": 40},
        {"kind": "drop_answer", "operation": "CreateCustomModelDeployment", "times": 1},
        {"kind": "throttle", "operation": "GetCustomModelDeployment", "times": 2},
    )

    finished(cloud, tmp_path)

    assert all(fault["hit"] == fault["times"] for fault in cloud.control("faults")["faults"])


def test_two_runs_at_once_share_a_job(cloud: Cloud, tmp_path: Path) -> None:
    """Two processes in one workspace: one job, and both runs are done."""
    cloud.start(tmp_path, "ls").communicate()
    runs = [cloud.start(tmp_path, "run", file, *small) for _ in range(2)]
    ends = [process.communicate(timeout=120) for process in runs]

    assert [process.returncode for process in runs] == [0, 0], ends
    finished(cloud, tmp_path)


def test_a_colleague_joins_the_job(cloud: Cloud, tmp_path: Path) -> None:
    """The same experiment in another workspace of the same account takes the job that is there."""
    first = finished(cloud, tmp_path / "mine")
    second = finished(cloud, tmp_path / "theirs")

    models = [run["steps"]["train"]["resources"]["model"] for run in (first, second)]
    assert models[0] == models[1]


def test_a_name_taken_by_other_work_is_a_loud_failure(cloud: Cloud, tmp_path: Path) -> None:
    """A name of ours that belongs to other work is not adopted, and nothing is bought."""
    cloud.killed(tmp_path, create, "after")
    taken = cloud.jobs[0]["name"]
    cloud.control("reset", {})
    _submit(cloud, taken, epochs="5")

    said = cloud.said(tmp_path, "resume")

    assert said.code == 1
    assert "differs in hyperParameters" in said.err + said.out
    assert len(cloud.jobs) == 1


def _submit(cloud: Cloud, name: str, epochs: str) -> None:
    """Somebody else's job of that name is there."""
    access = cloud.rehearsal
    bucket, role = access.bucket, access.role_arn

    Access("us-east-1", environment=access.environment()).service("bedrock").call(
        "CreateModelCustomizationJob",
        {
            "jobName": name,
            "customModelName": name,
            "roleArn": role,
            "baseModelIdentifier": "amazon.nova-lite-v1:0:300k",
            "customizationType": "FINE_TUNING",
            "trainingDataConfig": {"s3Uri": f"s3://{bucket}/other/train.jsonl"},
            "outputDataConfig": {"s3Uri": f"s3://{bucket}/other/"},
            "hyperParameters": {"epochCount": epochs},
        },
    )
