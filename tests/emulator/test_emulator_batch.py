"""Batch inference jobs, through unmodified boto3 and with files for an S3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from polytune.emulator.bedrock.faults import BedrockFault
from tests.messages import matching, message

from .emulator_shapes import Wire, faults
from .runtime_account import Account, account, asking, conversation_rows, nova_lite, said

role = "arn:aws:iam::123456789012:role/batch"
until_started = 10 + 60 + 30
day = timedelta(days=1).total_seconds()


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Account]:
    with account(tmp_path / "s3") as made:
        yield made


def lines(count: int, named: str = "r") -> bytes:
    """Records of Converse requests."""
    found = [
        {"recordId": f"{named}{number}", "modelInput": {"messages": asking(f"Question {number}")}}
        for number in range(count)
    ]
    return b"".join(json.dumps(record).encode() + b"\n" for record in found)


def submit(aws: Account, name: str = "job", source: str = "s3://bucket/in.jsonl", **more: Any) -> str:
    """The ARN of a job of Converse requests."""
    request = {
        "jobName": name,
        "roleArn": role,
        "modelId": nova_lite,
        "modelInvocationType": "Converse",
        "inputDataConfig": {"s3InputDataConfig": {"s3Uri": source}},
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://bucket/out/"}},
    }
    return str(aws.bedrock.create_model_invocation_job(**(request | more))["jobArn"])


def job(aws: Account, arn: str) -> dict[str, Any]:
    found: dict[str, Any] = aws.bedrock.get_model_invocation_job(jobIdentifier=arn)
    return found


def output(aws: Account, arn: str, name: str = "in.jsonl") -> list[dict[str, Any]]:
    """The records of an output file."""
    content = aws.store.read(f"s3://bucket/out/{arn[-12:]}/{name}.out")
    return [json.loads(line) for line in content.splitlines()]


def manifest(aws: Account, arn: str) -> dict[str, int]:
    found: dict[str, int] = json.loads(aws.store.read(f"s3://bucket/out/{arn[-12:]}/manifest.json.out"))
    return found


def counts(found: dict[str, Any]) -> tuple[int, ...]:
    kinds = ("total", "processed", "success", "error")
    return tuple(found[f"{kind}RecordCount"] for kind in kinds)


def test_a_job_runs_through_its_states_and_answers_every_record(aws: Account) -> None:
    """From Submitted to Completed; each record is answered as Converse would, in another order."""
    aws.store.write("s3://bucket/in.jsonl", lines(120))
    arn = submit(aws)

    seen = [job(aws, arn)["status"]]
    for seconds in (10, 60, 30, 30):
        aws.advance(seconds)
        seen.append(job(aws, arn)["status"])
    halfway = job(aws, arn)
    aws.advance(30)
    finished = job(aws, arn)

    assert seen == ["Submitted", "Validating", "Scheduled", "InProgress", "InProgress"]
    assert counts(halfway) == (120, 60, 60, 0)
    assert (finished["status"], counts(finished)) == ("Completed", (120, 120, 120, 0))
    records = output(aws, arn)
    order = [record["recordId"] for record in records]
    assert sorted(order) == sorted(f"r{number}" for number in range(120))
    assert order != sorted(order, key=lambda name: int(name[1:]))
    asked = aws.runtime.converse(modelId=nova_lite, **records[0]["modelInput"])
    assert said(records[0]["modelOutput"]) == said(asked)
    assert counts(manifest(aws, arn)) == (120, 120, 120, 0)
    assert manifest(aws, arn)["outputTokenCount"] == sum(
        record["modelOutput"]["usage"]["outputTokens"] for record in records
    )


def test_what_get_tells_is_what_the_service_tells(aws: Account) -> None:
    """The model becomes an ARN, the owner is filled in, and a day is the time-out."""
    arn = submit(aws, clientRequestToken="token-1")

    found = job(aws, arn[-12:])

    assert found["jobArn"] == arn
    assert found["modelId"] == f"arn:aws:bedrock:us-east-1::foundation-model/{nova_lite}"
    assert found["inputDataConfig"]["s3InputDataConfig"]["s3BucketOwner"] == "123456789012"
    assert found["timeoutDurationInHours"] == 24
    assert found["jobExpirationTime"] - found["submitTime"] == timedelta(hours=24)
    assert found["clientRequestToken"] == "token-1"
    assert "endTime" not in found


def test_a_stopping_job_has_the_members_that_were_recorded(aws: Account) -> None:
    """Get of a job stopped at once, against the answer recorded on 2026-03-04; the type was added since."""
    arn = submit(aws)
    aws.bedrock.stop_model_invocation_job(jobIdentifier=arn)
    found = job(aws, arn)

    recorded = {
        "clientRequestToken",
        "inputDataConfig",
        "jobArn",
        "jobExpirationTime",
        "jobName",
        "lastModifiedTime",
        "modelId",
        "outputDataConfig",
        "roleArn",
        "status",
        "submitTime",
        "timeoutDurationInHours",
    }
    assert found["status"] == "Stopping"
    assert found.keys() - {"ResponseMetadata", "modelInvocationType"} == recorded


def test_every_answer_has_the_models_shape(aws: Account) -> None:
    """What is sent in each state, before botocore reads it, fits the operation's output shape."""
    wire = Wire(aws.bedrock)
    aws.fail(BedrockFault(kind="failed_validation", operation="CreateModelInvocationJob", after=1))
    aws.store.write("s3://bucket/in.jsonl", lines(100))
    good, bad = submit(aws, tags=[{"key": "team", "value": "audio"}]), submit(aws, "bad")
    for _ in range(6):
        aws.advance(30)
        for arn in (good, bad):
            job(aws, arn)
        aws.bedrock.list_model_invocation_jobs(maxResults=1)
    aws.bedrock.stop_model_invocation_job(jobIdentifier=submit(aws, "third"))

    found = [
        f"{operation}{fault}"
        for operation, answers in wire.bodies.items()
        for _, body, model in answers
        for fault in faults(model.output_shape, body)
    ]
    assert sorted(wire.bodies) == [
        "CreateModelInvocationJob",
        "GetModelInvocationJob",
        "ListModelInvocationJobs",
        "StopModelInvocationJob",
    ]
    assert found == []


def test_the_same_token_makes_one_job(aws: Account) -> None:
    """A repeated request is answered with the first job; another one may not take its name."""
    first = submit(aws, clientRequestToken="token-1")

    assert submit(aws, clientRequestToken="token-1") == first
    with pytest.raises(ClientError, match=matching("emulator/provided-job-name-is-currently")):
        submit(aws, clientRequestToken="token-2")


def test_native_bodies_of_a_custom_model(aws: Account) -> None:
    """Without modelInvocationType the records are InvokeModel bodies; wrong ones are answered with 400."""
    aws.store.write("s3://bucket/train.jsonl", conversation_rows([("techno", "bd*4"), ("jazz", "rd*4")]))
    model = aws.custom_model("s3://bucket/train.jsonl")
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": asking("some jazz")}
    records: list[dict[str, Any]] = [{"modelInput": body} for _ in range(99)]
    records.append({"recordId": "wrong", "modelInput": {"inputText": "jazz"}})
    aws.store.write("s3://bucket/in.jsonl", "\n".join(map(json.dumps, records)).encode())
    arn = submit(aws, modelId=model, modelInvocationType="InvokeModel")
    aws.advance(until_started + 50)

    found = {record["recordId"]: record for record in output(aws, arn)}

    assert found["CALL0000001"]["modelOutput"]["content"][0]["text"] == "rd*4"
    assert found["wrong"]["error"]["errorCode"] == 400
    assert "modelOutput" not in found["wrong"]
    assert (job(aws, arn)["status"], counts(job(aws, arn))) == ("Completed", (100, 100, 99, 1))


def test_a_folder_gives_a_file_for_each_file(aws: Account) -> None:
    """Every `.jsonl` below the prefix is read, and has its own output."""
    aws.store.write("s3://bucket/in/a.jsonl", lines(60, "a"))
    aws.store.write("s3://bucket/in/b.jsonl", lines(60, "b"))
    aws.store.write("s3://bucket/in/notes.txt", b"not a record")
    arn = submit(aws, source="s3://bucket/in/")
    aws.advance(day / 2)

    assert [len(output(aws, arn, name)) for name in ("a.jsonl", "b.jsonl")] == [60, 60]
    assert manifest(aws, arn)["totalRecordCount"] == 120


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (lines(99), message("emulator/required-minimum-of", number=100)),
        (lines(120) + b"not json\n", message("emulator/malformed-record-on-line", line=121)),
        (b'{"recordId": "r"}\n', message("emulator/malformed-record-on-line", line=1)),
        (None, message("emulator/could-not-validate-getobject-permissions")),
    ],
)
def test_wrong_input_fails_the_job(aws: Account, content: bytes | None, complaint: str) -> None:
    """Too few records, lines that are no records, no file: the job fails at its validation and says why."""
    if content is not None:
        aws.store.write("s3://bucket/in.jsonl", content)
    arn = submit(aws)
    aws.advance(until_started)

    found = job(aws, arn)

    assert found["status"] == "Failed"
    assert complaint in found["message"]
    assert found["endTime"] - found["submitTime"] == timedelta(seconds=70)
    assert aws.store.list(f"s3://bucket/out/{arn[-12:]}") == []


def test_a_share_of_the_records_can_fail(aws: Account) -> None:
    """One record in ten has an error in place of an output; the job completes all the same."""
    aws.fail(BedrockFault(kind="internal_error", operation="BatchRecord", every=(1, 10), message="try again"))
    aws.store.write("s3://bucket/in.jsonl", lines(100))
    arn = submit(aws)
    aws.advance(until_started + 50)

    wrong = [record["error"] for record in output(aws, arn) if "error" in record]

    assert wrong == [{"errorCode": 500, "errorMessage": "try again"}] * 10
    assert (job(aws, arn)["status"], counts(job(aws, arn))) == ("Completed", (100, 100, 90, 10))


def test_a_job_can_end_half_way(aws: Account) -> None:
    """Half of the records are there, and a second job answers the rest alike."""
    aws.fail(BedrockFault(kind="failed_training", operation="CreateModelInvocationJob", times=1))
    aws.store.write("s3://bucket/in.jsonl", lines(200))
    partial, whole = submit(aws, "partial"), submit(aws, "whole")
    aws.advance(until_started + 100)

    assert (job(aws, partial)["status"], counts(job(aws, partial))) == (
        "PartiallyCompleted",
        (200, 100, 100, 0),
    )
    assert output(aws, partial) == output(aws, whole)[:100]
    assert manifest(aws, partial)["processedRecordCount"] == 100


def test_a_job_that_takes_too_long_is_cut_off(aws: Account) -> None:
    """What was processed before the time-out is kept."""
    fault = BedrockFault(
        kind="stuck_not_started", operation="CreateModelInvocationJob", stuck_seconds=day - until_started - 30
    )
    aws.fail(fault)
    aws.store.write("s3://bucket/in.jsonl", lines(100))
    arn = submit(aws)
    aws.advance(day)

    assert (job(aws, arn)["status"], counts(job(aws, arn))) == ("PartiallyCompleted", (100, 60, 60, 0))


def test_a_job_that_never_starts_expires(aws: Account) -> None:
    """Stuck in Scheduled, it is Expired when its time is over."""
    aws.fail(BedrockFault(kind="stuck_not_started", operation="CreateModelInvocationJob"))
    aws.store.write("s3://bucket/in.jsonl", lines(100))
    arn = submit(aws)
    aws.advance(day - 1)
    before = job(aws, arn)["status"]
    aws.advance(1)

    assert (before, job(aws, arn)["status"]) == ("Scheduled", "Expired")


def test_a_stopped_job_keeps_what_it_processed(aws: Account) -> None:
    """Stopping, then Stopped without an end time; a second stop is refused."""
    aws.store.write("s3://bucket/in.jsonl", lines(100))
    arn = submit(aws)
    aws.advance(until_started + 20)
    aws.bedrock.stop_model_invocation_job(jobIdentifier=arn)
    stopping = job(aws, arn)
    aws.advance(45)
    stopped = job(aws, arn)

    assert (stopping["status"], stopped["status"]) == ("Stopping", "Stopped")
    assert "endTime" not in stopped
    assert len(output(aws, arn)) == stopped["processedRecordCount"] == 40
    with pytest.raises(ClientError, match=matching("emulator/cannot-be-stopped")) as refused:
        aws.bedrock.stop_model_invocation_job(jobIdentifier=arn)
    assert refused.value.response["Error"]["Code"] == "ConflictException"


def test_unknown_jobs_and_models_are_refused(aws: Account) -> None:
    """Neither exists: 404 for a job, ValidationException for a model that takes no batches."""
    with pytest.raises(ClientError, match=matching("emulator/provided-batch-inference-job-was")):
        job(aws, "abcdefghijkl")
    with pytest.raises(ClientError, match=matching("emulator/provided-batch-inference-job-was")):
        aws.bedrock.stop_model_invocation_job(jobIdentifier="abcdefghijkl")
    with pytest.raises(ClientError, match=matching("emulator/provided-model-identifier-is-invalid")):
        submit(aws, modelId="amazon.nova-lite-v1:0:300k")


def test_jobs_are_listed_filtered_and_paged(aws: Account) -> None:
    """By status, name and time, newest first, page by page."""
    aws.store.write("s3://bucket/in.jsonl", lines(100))
    arns = []
    for number in range(5):
        arns.append(submit(aws, f"{'even' if number % 2 == 0 else 'odd'}-{number}"))
        aws.advance(40)
    middle = job(aws, arns[2])["submitTime"]

    pages = aws.bedrock.get_paginator("list_model_invocation_jobs").paginate(PaginationConfig={"PageSize": 2})
    listed = [found["jobArn"] for page in pages for found in page["invocationJobSummaries"]]

    def names(**filters: Any) -> list[str]:
        found = aws.bedrock.list_model_invocation_jobs(**filters)["invocationJobSummaries"]
        return [each["jobName"] for each in found]

    assert listed == arns[::-1]
    assert names(nameContains="odd") == ["odd-3", "odd-1"]
    assert names(submitTimeAfter=middle, sortOrder="Ascending") == ["odd-3", "even-4"]
    assert names(submitTimeBefore=middle) == ["odd-1", "even-0"]
    assert names(statusEquals="Validating") == ["even-4"]
    assert names(statusEquals="Scheduled") == ["odd-3"]


def test_an_order_is_the_same_in_every_run(tmp_path: Path) -> None:
    """The shuffled order and the answers depend on the records alone."""
    found = []
    for run in ("first", "second"):
        with account(tmp_path / run) as aws:
            aws.store.write("s3://bucket/in.jsonl", lines(100))
            arn = submit(aws, run)
            aws.advance(day / 2)
            found.append(output(aws, arn))

    assert found[0] == found[1]
