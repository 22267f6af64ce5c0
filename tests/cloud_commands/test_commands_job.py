"""`polytune job`: the account's jobs listed, looked at, watched through failures, and stopped."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from polytune.engine.jobbook import JobBook, JobRow, JobState
from polytune.engine.ledger import Ledger
from polytune.engine.workspace import Workspace
from tests.cloud_commands.cloud_program import Space, clean_environment, invoked
from tests.messages import message

own = "lines-train-0123456789-1"
elses = "somebody-elses"


def recorded(folder: Path, token: str, handle: str) -> None:
    """The ledger of a workspace knows a job."""
    space = Workspace(folder)
    space.create()
    ledger = Ledger.open(space.ledger)
    try:
        JobBook(ledger).record(
            JobRow(
                token=token,
                key="k" * 64,
                attempt=1,
                state=JobState.SUBMITTED,
                step="lines/1 train",
                request={},
                handle=handle,
            )
        )
    finally:
        ledger.close()


def test_the_list_shows_polytune_s_own_jobs_unless_all_are_asked_for(space: Space) -> None:
    """Names that runs give count as polytune's; `--all` shows everybody's, latest first."""
    theirs = space.job(elses)
    space.account.advance(60)
    ours = space.job(own)

    listed, everything = space.run("job", "list"), space.run("job", "list", "--all", "--json")

    assert (listed.code, ours in listed.out, theirs in listed.out) == (0, True, False)
    assert message("cloud_commands/more-are-not-polytune") in listed.err
    assert [job["arn"] for job in everything.json] == [ours, theirs]
    assert everything.json[0]["stages"] == {"validation": "NotStarted", "training": "NotStarted"}


def test_a_job_that_the_ledger_knows_is_polytune_s_by_whatever_name(space: Space) -> None:
    """The ledger's handle makes a job one's own, and its token names it."""
    arn = space.job(elses)
    recorded(space.folder, "abc-1", arn)

    assert [job["arn"] for job in space.run("job", "list", "--json").json] == [arn]
    assert space.run("job", "status", "abc-1", "--json").json["name"] == elses


def test_the_list_can_be_narrowed_to_a_status(space: Space) -> None:
    """`--status` takes a status in any case, and refuses one that no job can have."""
    done = space.model(own)
    running = space.job("lines-train-0123456789-2")

    found = space.run("job", "list", "--status", "inprogress", "--json").json
    wrong = space.run("job", "list", "--status", "Complete")

    assert [job["arn"] for job in found] == [running]
    assert done in space.run("job", "list", "--status", "Completed", "--json").out
    assert (wrong.code, wrong.out) == (2, "")
    assert message("cloud_commands/no-job-has-this-status", suggestion="Completed") in wrong.err


def test_a_kind_of_job_that_cannot_be_listed_does_not_hide_the_others(space: Space) -> None:
    """A refused ListModelImportJobs is told; the customization jobs are there."""
    arn = space.job(own)
    space.account.fault(
        "error", "ListModelImportJobs", code="AccessDeniedException", status=403, message="not allowed"
    )

    listed = space.run("job", "list")

    assert (listed.code, arn in listed.out) == (0, True)
    assert message("cloud_commands/import-jobs-could-not-be-listed") in listed.err
    assert "bedrock:ListModelImportJobs" in listed.err


def test_the_ledger_s_list_asks_no_network(tmp_path: Path) -> None:
    """`--ledger` shows the ledger's jobs in a workspace that has no credentials at all."""
    recorded(tmp_path, "abc-1", "arn:aws:bedrock:us-east-1:123456789012:model-customization-job/x/abc")
    words = [sys.executable, "-m", "polytune", "job", "list", "--ledger", "--json"]

    done = subprocess.run(
        words,
        cwd=tmp_path,
        env=clean_environment() | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert '"token":"abc-1"' in done.stdout
    assert invoked("job", "list", "--ledger", "--status", "lost", "--workspace", str(tmp_path)).out == ""


def test_the_ledger_s_list_goes_with_nothing_that_asks_the_account(space: Space) -> None:
    """`--ledger --all` is refused with the reason."""
    done = space.run("job", "list", "--ledger", "--all")

    assert (done.code, message("cloud_commands/ledger-asks-no-platform") in done.err) == (2, True)


def test_the_status_of_anybody_s_job(space: Space) -> None:
    """By name or by ARN: stages, data, the values in force; figures and curve when it has ended."""
    arn = space.job(elses, validated=True)

    early, by_arn = space.run("job", "status", elses), space.run("job", "status", arn, "--json")
    space.account.advance(3 * 3600)
    late = space.run("job", "status", elses)

    assert by_arn.json["arn"] == arn
    assert re.search(r"validation +NotStarted", early.out)
    assert "learningRate 1.0E-5" in early.out
    assert "•" not in early.out
    assert re.search(r"training loss +0\.", late.out)
    assert "• training loss   o validation loss" in late.out
    assert "SYNTHETIC" in late.out


def test_a_reinforcement_s_curve_is_its_reward(space: Space) -> None:
    """What such a job writes is a mean reward, not a loss."""
    row = b'{"messages":[{"role":"user","content":"1+1?"}],"reference_answer":"2"}\n'
    uri = space.account.put("data/rewarded.jsonl", row * 100)
    grader = {"lambdaGrader": {"lambdaArn": "arn:aws:lambda:us-east-1:123456789012:function:judge"}}
    space.account.create(
        "rewarded",
        customizationType="REINFORCEMENT_FINE_TUNING",
        baseModelIdentifier="amazon.nova-2-lite-v1:0:256k",
        trainingDataConfig={"s3Uri": uri},
        customizationConfig={"rftConfig": {"graderConfig": grader}},
    )
    space.account.advance(24 * 3600)

    assert "• mean reward" in space.run("job", "status", "rewarded").out


def test_a_failed_job_is_explained(space: Space) -> None:
    """The failure message stands with its likely fix; `watch` of such a job exits with 1."""
    space.account.fault("failed_validation", "CreateModelCustomizationJob", times=1)
    space.job(elses)
    space.account.advance(3600)

    status, watched = space.run("job", "status", elses), space.run("job", "watch", elses)

    assert (status.code, watched.code) == (0, 1)
    assert "Likely fix:" in status.out
    assert "Failed" in watched.out


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("nosuch", (), "no model customization job, model import job"),
        ("arn:aws:bedrock:us-west-2:1:x/y", ("--region", "us-east-1"), "is in us-west-2, not in us-east-1"),
        ("arn:nonsense", (), message("cloud_commands/is-not-arn")),
        (
            "arn:aws:bedrock:us-east-1:123456789012:custom-model/a/abcdefghijkl",
            (),
            message("cloud_commands/not-arn-of-model"),
        ),
        ("x", ("--region", "moon"), "--region moon: " + message("cloud_commands/not-region")),
    ],
)
def test_what_is_no_job_is_one_clear_error(
    space: Space, name: str, words: tuple[str, ...], said: str
) -> None:
    """Unknown names, other regions, other resources and no ARNs at all."""
    done = space.run("job", "status", name, *words)

    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert len(done.err.splitlines()) == 1


def test_watch_follows_anybody_s_job_to_its_end_and_draws_the_curve(space: Space) -> None:
    """A line for each change, the chart, and what the job made; the exit code is 0."""
    space.job(elses, validated=True)

    done = space.run("job", "watch", elses, "--interval", "300")

    lines = [line.partition("] ")[2] for line in done.out.splitlines() if line.startswith("[")]
    assert done.code == 0
    assert lines[0] == "InProgress: validation NotStarted, training NotStarted"
    assert "InProgress: validation Completed, training InProgress" in lines
    assert lines[-1] == "Completed"
    assert done.out.count("• training loss") == 1
    assert "custom-model/amazon.nova-lite-v1:0:300k/" in done.out


def test_watch_survives_every_kind_of_failure(space: Space) -> None:
    """Throttling, faults, resets, cut and dropped answers, denials and expired credentials: hours of them."""
    space.job(elses)
    get = "GetModelCustomizationJob"
    kinds = ("throttle", "error", "reset", "cut_body", "drop_answer", "expired_token")
    for kind in kinds:
        space.account.fault(kind, get, times=4, after=1)
    denied = {"code": "AccessDeniedException", "status": 403, "message": "not now"}
    space.account.fault("error", get, times=4, after=1, **denied)
    before = space.account.control("now")["now"]

    done = space.run("job", "watch", elses, "--interval", "10")

    pauses = [float(pause) for pause in re.findall(r"Next look in (\d+) s", done.out)]
    assert done.code == 0
    assert "Completed" in done.out
    assert pauses[:6] == [20, 40, 80, 160, 300, 300]
    assert len(set(re.findall(r"bedrock \w+: (\w+)", done.out))) >= 5
    assert space.account.control("now")["now"] > before


def test_a_first_look_that_fails_in_passing_is_repeated(space: Space) -> None:
    """A throttled search for the name is told on standard error, and the watch begins after it."""
    space.job(elses)
    space.account.fault("throttle", "GetModelCustomizationJob", times=2)

    done = space.run("job", "watch", elses, "--interval", "100")

    assert (done.code, done.err.count(message("cloud_commands/could-not-look-for-somebody-elses"))) == (0, 2)
    assert message("cloud_commands/next-look-in-s", seconds=200) in done.err


def test_credentials_that_fail_at_once_end_the_watch_at_once(space: Space) -> None:
    """Nobody wants to wait for hours with a wrong key."""
    space.job(elses)
    space.account.fault("expired_token", "GetModelCustomizationJob", times=1)

    done = space.run("job", "watch", elses)

    assert (done.code, "ExpiredToken" in done.err) == (1, True)


def test_watch_as_json_prints_one_object_a_look(space: Space) -> None:
    """Each line is an object; the last one has the curves."""
    space.job(elses)
    space.account.fault("throttle", "GetModelCustomizationJob", times=1, after=1)

    done = space.run("job", "watch", elses, "--interval", "600", "--json")

    lines = done.out.splitlines()
    assert '"trouble":"bedrock GetModelCustomizationJob: ThrottlingException' in lines[0]
    assert '"status":"Completed"' in lines[-1]
    assert '"synthetic":true' in lines[-1]


def test_a_job_must_exist_to_be_watched(space: Space) -> None:
    """The first look is not repeated for hours when there is no such job."""
    assert space.run("job", "watch", "nosuch").code == 2


def test_a_deployment_in_the_making_can_be_watched(space: Space) -> None:
    """`watch` follows a deployment until it answers."""
    model = space.model(own)
    space.account.bedrock.create_custom_model_deployment(modelDeploymentName="songs", modelArn=model)

    done = space.run("job", "watch", "songs", "--interval", "60")

    assert (done.code, "Creating" in done.out, "Active" in done.out) == (0, True, True)


def test_stop_says_what_it_costs_and_asks(space: Space) -> None:
    """Nobody there, a no, a yes and `--yes`: only the last two stop the job."""
    arn = space.job(elses)
    calls = "StopModelCustomizationJob"

    silent = space.run("job", "stop", elses)
    refused = space.run("job", "stop", elses, typed="n\n")
    untouched = space.account.calls(calls)
    agreed = space.run("job", "stop", arn, "--yes")
    again = space.run("job", "stop", arn, "--yes")

    assert (silent.code, refused.code, untouched) == (2, 1, 0)
    assert message("cloud_commands/tokens-trained-on-so-far") in refused.err.lower()
    assert "--yes answers yes" in silent.err
    assert agreed.code == 0
    assert re.search(r"Stopp(ing|ed)", agreed.out)
    assert (again.code, message("cloud_commands/there-is-nothing-to-stop") in again.err) == (2, True)


def test_a_yes_that_was_typed_stops_the_job(space: Space) -> None:
    """Answering the question is enough."""
    space.job(elses)

    done = space.run("job", "stop", elses, "--json", typed="y\n")

    assert done.code == 0
    assert done.json["status"] in ("Stopping", "Stopped")


def test_what_cannot_be_stopped_says_what_to_do_instead(space: Space) -> None:
    """A deployment is undeployed."""
    model = space.model(own)
    space.account.bedrock.create_custom_model_deployment(modelDeploymentName="songs", modelArn=model)

    done = space.run("job", "stop", "songs", "--yes")

    assert (done.code, "polytune undeploy arn:aws" in done.err) == (2, True)


def test_an_unknown_subcommand_has_a_nearest_name(space: Space) -> None:
    """`job statu` is not a traceback."""
    done = invoked("job", "statu")

    assert (done.code, done.err) == (
        2,
        message("cloud_commands/no-command", command="statu", suggestion="status") + "\n",
    )
