"""`polytune emulator` as a process: what it prints, what it serves, how it ends."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from polytune.emulator.bedrock.clock import VirtualClock
from polytune.emulator.bedrock.program import Emulator
from polytune.emulator.bedrock.rehearsal import Rehearsal
from polytune.emulator.bedrock.world import World
from polytune.errors import Busy
from tests.messages import matching, message

from .emulator_account import Account, asked, hours, rows

program = "from polytune.cli.emulator import command; command()"


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command as a process of its own, ended by SIGTERM."""
    repository = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(repository), "HOME": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)


def test_the_printed_variables_lead_to_a_working_account(tmp_path: Path) -> None:
    """`export` lines; Bedrock, S3, the clock and the Polychat stand-in answer; SIGTERM ends it in order."""
    with running(tmp_path, "--speed", "0", "--polychat") as process:
        assert process.stdout is not None
        variables: dict[str, str] = {}
        while "POLYTUNE_POLYCHAT_URL" not in variables:
            word, assignment = shlex.split(process.stdout.readline())
            assert word == "export"
            name, _, value = assignment.partition("=")
            variables[name] = value
        account = Account(
            variables["AWS_ENDPOINT_URL_BEDROCK"],
            variables["BEDROCK_ROLE_ARN"],
            variables["AWS_ENDPOINT_URL"],
            variables["BEDROCK_TRAINING_BUCKET"],
        )
        with account:
            account.put("data/train.jsonl", rows(8))
            arn = account.create()
            asked(variables["POLYTUNE_CLOCK_URL"] + "/advance", {"seconds": 3 * hours})
            assert account.job(arn)["status"] == "Completed"

    assert process.returncode == 0
    assert variables["AWS_EC2_METADATA_DISABLED"] == "true"
    assert list(tmp_path.iterdir()) == []


def test_without_s3_it_is_bedrock_only(tmp_path: Path) -> None:
    """One JSON object without S3's endpoint, and a warning on standard error."""
    with running(tmp_path, "--no-s3", "--json", "--region", "us-west-2") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        variables = json.loads(process.stdout.readline())
        said = [process.stderr.readline() for _ in range(3)]

        assert asked(variables["POLYTUNE_CLOCK_URL"] + "/state")["jobs"] == []

    assert "AWS_ENDPOINT_URL" not in variables
    assert variables["AWS_DEFAULT_REGION"] == "us-west-2"
    assert message("emulator/losses-are-synthetic") in said[1]
    assert message("emulator/every-dataset-counts-as-valid") in said[2]


def test_time_passes_at_the_given_speed() -> None:
    """At a million virtual seconds per real one, a job is complete at once."""
    with Emulator(World(VirtualClock(speed=1e6))).serving() as emulator, Account.of(emulator) as account:
        arn = account.create()
        for _ in range(100):
            if account.job(arn)["status"] == "Completed":
                break

        assert account.job(arn)["status"] == "Completed"


def test_a_stopped_emulator_answers_no_more() -> None:
    """Neither on a new connection nor on one that was open; another can take its port."""
    emulator = Emulator(World(VirtualClock(speed=0)))
    emulator.start()
    port = int(emulator.address.rpartition(":")[2])
    with Account.of(emulator) as account:
        account.bedrock.list_foundation_models()
        emulator.stop()
        with Emulator(World(VirtualClock(speed=0))).serving(port) as successor:
            assert account.bedrock.list_custom_models()["modelSummaries"] == []

    with pytest.raises(RuntimeError, match=matching("emulator/not-been-started")):
        assert emulator.address
    with pytest.raises(RuntimeError, match=matching("emulator/not-been-started")):
        assert successor.address


def test_a_taken_port_is_one_message() -> None:
    """Busy, with the port and what to do; nothing is left listening."""
    with Emulator(World()).serving() as emulator:
        port = int(emulator.address.rpartition(":")[2])

        with (
            pytest.raises(Busy, match=f"port {port} of 127.0.0.1: .*Choose another port"),
            Rehearsal().serving(port),
        ):
            raise AssertionError("it started")


def test_two_rehearsals_in_one_process_share_nothing() -> None:
    """Each has its own bucket and role, which exist, and its own jobs."""
    with (
        Rehearsal(speed=0).serving() as one,
        Rehearsal("us-west-2", speed=0).serving() as other,
        Account.rehearsed(one) as first,
        Account.rehearsed(other) as second,
    ):
        first.create()

        assert first.bucket != second.bucket
        assert first.role_arn != second.role_arn
        assert second.control("state")["jobs"] == []
        second.client("s3", "us-west-2").head_bucket(Bucket=second.bucket)
