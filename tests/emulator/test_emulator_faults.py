"""Scripted faults, one by one, as an unmodified SDK sees them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError

from tests.messages import message

from .emulator_account import Account, hours, refused

get = "GetModelCustomizationJob"
create = "CreateModelCustomizationJob"


def code_of(call: Any) -> tuple[str, int]:
    """The error code and status with which a call fails."""
    with pytest.raises(ClientError) as caught:
        call()
    answer: dict[str, Any] = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "error", "code": "ServiceUnavailableException", "status": 503},
        {"kind": "reset"},
        {"kind": "drop_answer"},
    ],
    ids=lambda fault: fault["kind"],
)
def test_what_the_sdk_retries(account: Account, fault: dict[str, Any]) -> None:
    """One such fault costs a second call and nothing else."""
    arn = account.create()
    account.fault(operation=get, times=1, **fault)

    assert account.job(arn)["status"] == "InProgress"
    assert account.calls(get) == 2


def test_throttling_is_a_429(account: Account) -> None:
    """With no retries left it is a ThrottlingException of the model."""
    account.create("a")
    account.fault("throttle", get)
    once = account.client(attempts=1)

    assert code_of(lambda: once.get_model_customization_job(jobIdentifier="a")) == (
        "ThrottlingException",
        429,
    )


def test_expired_credentials_are_a_403_that_is_not_retried(account: Account) -> None:
    """ExpiredTokenException until the fault is used up or cleared."""
    account.create("a")
    account.fault("expired_token")

    assert code_of(lambda: account.job("a")) == ("ExpiredTokenException", 403)
    assert account.calls(get) == 1
    account.control("faults", method="DELETE")
    assert account.job("a")["jobName"] == "a"


def test_every_connection_reset_is_an_error(account: Account) -> None:
    """When each attempt is reset, the SDK gives up with its own exception."""
    account.fault("reset", get)
    with pytest.raises((ConnectionClosedError, EndpointConnectionError)):
        account.job("a")

    assert account.calls(get) == 3


@pytest.mark.parametrize("framed", [False, True])
def test_a_cut_body_is_a_200_without_its_members(account: Account, framed: bool) -> None:
    """boto3 by itself takes a cut-off answer for a good one that says nothing."""
    account.create("a")
    account.fault("cut_body", get, bytes=25, times=1, framed=framed)
    cut = account.job("a")

    assert cut["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert "jobArn" not in cut
    assert account.job("a")["jobName"] == "a"


def test_a_slow_answer_is_an_answer(account: Account) -> None:
    """The work is done after the delay; other calls are answered meanwhile."""
    account.create("a")
    account.fault("slow", get, seconds=0.2, times=1)
    before = time.monotonic()

    assert account.job("a")["jobName"] == "a"
    assert time.monotonic() - before >= 0.2


def test_a_share_of_calls_fails_evenly(account: Account) -> None:
    """[3, 10] is three of each ten, the same ones every time; `after` spares the first."""
    account.create("a")
    account.fault("throttle", get, every=[3, 10], after=2)
    once = account.client(attempts=1)
    passed = []
    for _ in range(22):
        try:
            once.get_model_customization_job(jobIdentifier="a")
            passed.append(True)
        except ClientError:
            passed.append(False)

    assert passed[:2] == [True, True]
    assert passed[2:12].count(False) == 3
    assert passed[2:12] == passed[12:22]
    fault = account.control("faults")["faults"][0]
    assert (fault["matched"], fault["hit"]) == (22, 6)


def outcome(account: Account, kind: str, **more: Any) -> dict[str, Any]:
    """How a job ends that is created under a fault; the next job is spared."""
    account.fault(kind, create, times=1, **more)
    struck, spared = account.create("struck"), account.create("spared")
    account.advance(3 * hours)
    assert account.job(spared)["status"] == "Completed"
    return account.job(struck)


@pytest.mark.parametrize(
    ("kind", "more", "message", "validation"),
    [
        (
            "internal_error",
            {},
            message("emulator/encountered-internal-error-when-processing-request"),
            "Failed",
        ),
        ("failed_validation", {"message": "no good"}, "no good", "Failed"),
        (
            "failed_training",
            {},
            message("emulator/encountered-unexpected-error-when-processing-request"),
            "Completed",
        ),
    ],
)
def test_jobs_fail_as_scripted(
    account: Account, kind: str, more: dict[str, Any], message: str, validation: str
) -> None:
    """With the given or the usual message, in validation or in training, and without a model."""
    job = outcome(account, kind, **more)

    assert (job["status"], job["failureMessage"]) == ("Failed", message)
    assert job["statusDetails"]["validationDetails"]["status"] == validation
    assert "outputModelArn" not in job


def test_a_stuck_job_waits_without_a_word(account: Account) -> None:
    """NotStarted for days, no message, and it can still be stopped."""
    job = outcome(account, "stuck_not_started")
    account.advance(72 * hours)
    later = account.job("struck")

    assert job["statusDetails"]["trainingDetails"]["status"] == "NotStarted"
    assert (later["status"], later["statusDetails"]) == ("InProgress", job["statusDetails"])
    account.bedrock.stop_model_customization_job(jobIdentifier="struck")
    account.advance(120)
    assert account.job("struck")["status"] == "Stopped"


def test_a_stuck_job_can_get_going(account: Account) -> None:
    """With `stuck_seconds` it trains after that time."""
    account.fault("stuck_not_started", create, stuck_seconds=30 * hours)
    arn = account.create("late")
    account.advance(29 * hours)
    waiting = account.job(arn)["status"]
    account.advance(3 * hours)

    assert waiting == "InProgress"
    assert account.job(arn)["status"] == "Completed"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"kind": "gremlins"}, "Invalid enum value 'gremlins'"),
        ({"kind": "throttle", "sometimes": 1}, "unknown field `sometimes`"),
        ({"kind": "throttle", "every": [4, 3]}, "0 <= k <= n"),
    ],
)
def test_a_wrong_fault_is_refused(account: Account, body: dict[str, Any], reason: str) -> None:
    """400 with the reason, and nothing is scripted."""
    status, message = refused(f"{account.address}/_control/faults", body)

    assert status == 400
    assert reason in message
    assert account.control("faults")["faults"] == []


def test_the_clock_only_moves_forward(account: Account) -> None:
    """A negative advance is refused; a positive one is exact."""
    before = account.control("now")["now"]
    status, reason = refused(f"{account.address}/_control/advance", {"seconds": -1})

    assert (status, reason) == (400, message("emulator/clock-only-moves-forward"))
    assert account.control("now")["now"] == before
