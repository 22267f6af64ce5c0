"""Waiting for remote jobs: detached, paused, stalled, and through a day of failing calls."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from polytune.aws.access import Access
from polytune.engine.clock import RehearsalClock
from polytune.engine.jobbook import JobState
from polytune.engine.jobs import Look
from polytune.errors import Paused
from polytune.platforms.bedrock.drivers import CustomizationDriver, Waiting
from tests.bedrock.cloud import Cloud, file, small
from tests.messages import message

until_training = (*small, "--until", "train")


def test_a_detached_run_is_collected_later(cloud: Cloud, tmp_path: Path) -> None:
    """`run --detach` returns with the job on its way, `resume --detach` looks once, `resume` collects."""
    left = cloud.said(tmp_path, "run", file, *small, "--detach", "--json")
    assert left.code == 0, left.err
    steps = json.loads(left.out)["steps"]
    assert steps["train"]["status"] == "waiting"
    assert {steps[name]["status"] for name in ("deploy", "evaluate", "export")} == {"pending"}

    early = cloud.said(tmp_path, "resume", "--detach")
    assert early.code == 75, early.err
    assert "resume" in early.err

    done = cloud.said(tmp_path, "resume", "--json")
    assert done.code == 0, done.err
    assert {step["status"] for step in json.loads(done.out)["steps"].values()} == {"done"}
    assert len(cloud.jobs) == 1


def test_expired_credentials_pause_a_run(cloud: Cloud, tmp_path: Path) -> None:
    """Credentials that expire while a job is polled: nothing fails, `resume` goes on with the job."""
    cloud.faults({"kind": "expired_token", "operation": "GetModelCustomizationJob", "after": 1})

    paused = cloud.said(tmp_path, "run", file, *until_training)

    assert paused.code == 75, paused.err
    assert "is still running" in paused.out
    assert "resume" in paused.err
    cloud.faults()
    cloud.rehearsal.emulator.world.faults.clear()
    done = cloud.said(tmp_path, "resume")
    assert done.code == 0, done.err
    assert len(cloud.jobs) == 1


def test_a_failed_job_says_the_likely_fix(cloud: Cloud, tmp_path: Path) -> None:
    """A job that fails ends its step with AWS's message and what to do; the next run is a new attempt."""
    cloud.faults({"kind": "internal_error", "operation": "CreateModelCustomizationJob", "times": 1})

    failed = cloud.said(tmp_path, "run", file, *until_training)

    assert failed.code == 1
    assert "internal error" in failed.out
    assert message("bedrock/likely-fix") in failed.out
    done = cloud.said(tmp_path, "run", file, *until_training)
    assert done.code == 0, done.err
    assert [job["name"][-2:] for job in cloud.jobs] == ["-1", "-2"]


def test_a_stall_is_reported_and_ends_only_when_asked(cloud: Cloud, tmp_path: Path) -> None:
    """A job that never starts is looked at for ever, with a word on how long; a limit of hours stops it."""
    cloud.faults({"kind": "stuck_not_started", "operation": "CreateModelCustomizationJob"})
    driver, handle = _submitted(cloud, tmp_path, stall_hours=0)
    cloud.control("advance", {"seconds": 30 * 3600})

    look = asyncio.run(driver.look("", handle))

    assert look.state is JobState.SUBMITTED
    assert look.message.startswith("training NotStarted for 29 h")
    limited, _ = _submitted(cloud, tmp_path, stall_hours=12)
    given_up = asyncio.run(limited.look("", handle))
    assert given_up.state is JobState.FAILED
    assert "POLYTUNE_STALL_HOURS allows (12 h" in given_up.message


def test_a_day_of_polling_through_failures(cloud: Cloud, tmp_path: Path) -> None:
    """Three of ten looks fail in many ways for a day of the account's time: never a wrong verdict."""
    day = 24 * 3600
    kinds: tuple[dict[str, object], ...] = (
        {"kind": "throttle"},
        {"kind": "error", "status": 503, "code": "ServiceUnavailableException"},
        {"kind": "reset"},
        {"kind": "cut_body", "bytes": 40, "framed": True},
    )
    get = "GetModelCustomizationJob"
    cloud.faults(
        {"kind": "stuck_not_started", "operation": "CreateModelCustomizationJob", "stuck_seconds": day},
        *({"operation": get, "every": [3, 40], "after": 10 * n, **kind} for n, kind in enumerate(kinds)),
    )
    driver, handle = _submitted(cloud, tmp_path, stall_hours=0)

    looks = asyncio.run(_to_the_end(driver, handle))

    assert looks[-1].state is JobState.COMPLETED
    assert {look.state for look in looks[:-1]} == {JobState.SUBMITTED}
    failing = sum(look.trouble for look in looks)
    assert failing / len(looks) == pytest.approx(0.3, abs=0.06)
    assert len(looks) > 1000


def test_no_credentials_at_all_are_a_pause_too(cloud: Cloud) -> None:
    """A look without any credentials raises what pauses a run."""
    nobody = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"}
    address = {"AWS_ENDPOINT_URL_BEDROCK": cloud.door.address}
    access = Access("us-east-1", environment={**nobody, **address})
    driver = CustomizationDriver(access, Waiting(RehearsalClock(cloud.rehearsal.emulator.control), 0))

    with pytest.raises(Paused, match="credentials"):
        asyncio.run(driver.look("", "a-job"))


async def _to_the_end(driver: CustomizationDriver, handle: str) -> list[Look]:
    """Every look at a job, a minute of the account's time apart."""
    looks: list[Look] = []
    while not looks or not looks[-1].state.final:
        looks.append(await driver.look("", handle))
        await driver.waiting.clock.sleep(60)
    return looks


def _submitted(cloud: Cloud, folder: Path, stall_hours: float) -> tuple[CustomizationDriver, str]:
    """A driver with a job on its way; asked again with the same token, the same job."""
    settings = cloud.rehearsal.environment()
    access = Access("us-east-1", environment={**settings, "HOME": str(folder)})
    waiting = Waiting(RehearsalClock(cloud.rehearsal.emulator.control), stall_hours * 3600)
    driver = CustomizationDriver(access, waiting)
    rows = b"".join(
        json.dumps(
            {
                "schemaVersion": "bedrock-conversation-2024",
                "messages": [
                    {"role": "user", "content": [{"text": f"question {number}"}]},
                    {"role": "assistant", "content": [{"text": f"answer {number}"}]},
                ],
            }
        ).encode()
        + b"\n"
        for number in range(40)
    )
    bucket = cloud.rehearsal.bucket
    access.service("s3").call("PutObject", {"Bucket": bucket, "Key": "rows/train.jsonl", "Body": rows})
    request = {
        "label": {"project": "p", "experiment": "waiting", "step": "train"},
        "members": {
            "customizationType": "FINE_TUNING",
            "baseModelIdentifier": "amazon.nova-lite-v1:0:300k",
            "roleArn": cloud.rehearsal.role_arn,
            "trainingDataConfig": {"s3Uri": f"s3://{bucket}/rows/train.jsonl"},
            "outputDataConfig": {"s3Uri": f"s3://{bucket}/out/"},
            "hyperParameters": {"epochCount": "2"},
        },
    }
    return driver, asyncio.run(driver.submit("a1b2c3d4e5f6-1", request, "waiting"))
