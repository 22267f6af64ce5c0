"""Datasets really read from S3 and judged: the service's failure messages, and what is left in the bucket."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from typing import Any

import pytest

from tests.messages import matching, message

from .emulator_account import Account, hours, row, rows

Answer = dict[str, Any]

llama = "meta.llama3-1-8b-instruct-v1:0:128k"
reading = message("emulator/could-not-validate-getobject-permissions-to-access")
writing = message("emulator/amazon-s-perms-missing-putobject")


def finished(account: Account, name: str, content: bytes | None = None, **changed: Any) -> Answer:
    """The job after its end; its training data is the content, when there is some."""
    if content is not None:
        changed["trainingDataConfig"] = {"s3Uri": account.put(f"{name}/train.jsonl", content)}
    out = {"outputDataConfig": {"s3Uri": f"s3://{account.bucket}/{name}/out"}}
    arn = account.create(name, **(out | changed))
    account.advance(3 * hours)
    return account.job(arn)


def failure(job: Answer) -> str:
    """The failure message of a job that failed in validation."""
    assert (job["status"], job["statusDetails"]["validationDetails"]["status"]) == ("Failed", "Failed")
    message: str = job["failureMessage"]
    return message


def output(account: Account, job: Answer) -> dict[str, bytes]:
    """What lies below the job's output, by key."""
    return account.objects(job["outputDataConfig"]["s3Uri"].removeprefix(f"s3://{account.bucket}/") + "/")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "broken",
            rows(10) + b"{oops\n",
            message("emulator/unable-to-parse-file-reason", file="train.jsonl"),
        ),
        (
            "blank",
            rows(5) + b"\n" + rows(5),
            message("emulator/unable-to-parse-file", file="train.jsonl"),
        ),
        ("empty", b"", message("emulator/unable-to-parse-file", file="train.jsonl")),
        ("few", rows(7), message("emulator/number-of-samples-with-bounds", number=7, number2=20000)),
        ("reserved", rows(9) + row("System: obey"), "'System:' in"),
        ("long", rows(9) + row("x" * 130_000), message("emulator/max-sum-of-input-and-output", number=3250)),
        ("tools", rows(9) + row().replace(b'{"text": "A', b'{"toolUse": 1, "text": "A'), "record 10:"),
    ],
)
def test_wrong_rows_fail_the_job(rehearsed: Account, name: str, content: bytes, message: str) -> None:
    """Each in the words of the service where they are known; only the access check has been written."""
    job = finished(rehearsed, f"wrong-{name}", content)

    assert message in failure(job)
    assert output(rehearsed, job) == {".write_access_check_file.temp": b""}


def test_a_wrong_shape_is_named_for_prompt_completion(rehearsed: Account) -> None:
    """Llama 3.1 wants prompt and completion, and says so."""
    west = rehearsed.client("s3", "us-west-2")
    west.create_bucket(Bucket="western-data", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    uri = rehearsed.put("llama/train.jsonl", rows(120), "western-data")
    client = rehearsed.client(region="us-west-2")
    arn = client.create_model_customization_job(
        **rehearsed.job_request(
            "llama",
            baseModelIdentifier=llama,
            trainingDataConfig={"s3Uri": uri},
            outputDataConfig={"s3Uri": "s3://western-data/out"},
        )
    )["jobArn"]
    rehearsed.advance(hours)

    assert failure(client.get_model_customization_job(jobIdentifier=arn)) == (
        message("emulator/input-data-at-must-follow-prompt", path="llama/train.jsonl")
    )


def test_what_cannot_be_read_fails_the_job(rehearsed: Account) -> None:
    """A missing object, a missing bucket and a bucket of another region all read the same."""
    rehearsed.client("s3", "us-west-2").create_bucket(
        Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
    )
    far = rehearsed.put("train.jsonl", rows(10), "far-away")
    missing = f"s3://{rehearsed.bucket}/none.jsonl"

    def message(name: str, uri: str) -> str:
        return failure(finished(rehearsed, name, trainingDataConfig={"s3Uri": uri}))

    assert message("gone", missing) == f"{reading}: {rehearsed.bucket} at key none.jsonl"
    assert message("nowhere", "s3://no-such-bucket/a.jsonl") == f"{reading}: no-such-bucket at key a.jsonl"
    assert message("far", far) == f"{reading}: far-away at key train.jsonl"


def test_what_cannot_be_written_fails_the_job(rehearsed: Account) -> None:
    """An output bucket that does not exist."""
    job = finished(rehearsed, "output", rows(10), outputDataConfig={"s3Uri": "s3://no-such-bucket/out"})

    assert failure(job) == f"{writing}: no-such-bucket at key output/.write_access_check_file.tmp"


def test_media_must_be_in_the_bucket(rehearsed: Account) -> None:
    """A row that points to an image that is there is taken; to one that is not, the job fails."""
    there = rehearsed.put("media/a.png", b"png")

    def with_image(uri: str) -> bytes:
        image = {"image": {"format": "png", "source": {"s3Location": {"uri": uri}}}}
        record = json.loads(row())
        record["messages"][0]["content"].append(image)
        return b"".join(json.dumps(record).encode() + b"\n" for _ in range(8))

    good = finished(rehearsed, "images", with_image(there))
    bad = finished(rehearsed, "no-images", with_image(f"s3://{rehearsed.bucket}/media/b.png"))

    assert good["status"] == "Completed", good
    assert failure(bad) == f"{reading}: {rehearsed.bucket} at key media/b.png"


def test_a_role_must_exist(rehearsed: Account) -> None:
    """A role that IAM does not know is refused at the call."""
    with pytest.raises(
        rehearsed.bedrock.exceptions.ValidationException,
        match=matching("emulator/could-not-assume-provided-iam-role"),
    ):
        rehearsed.create("role", roleArn="arn:aws:iam::123456789012:role/nobody")


def test_the_output_has_the_layout_of_real_jobs(rehearsed: Account) -> None:
    """Metrics, reports, the accepted input byte for byte, and a note that all this is synthetic."""
    content = rows(20)
    validation = {"validators": [{"s3Uri": rehearsed.put("layout/check.jsonl", rows(3))}]}
    job = finished(rehearsed, "layout", content, validationDataConfig=validation)
    found = output(rehearsed, job)
    folder = f"model-customization-job-{job['jobArn'].rpartition('/')[2]}"

    assert set(found) == {
        ".write_access_check_file.temp",
        f"{folder}/SYNTHETIC.txt",
        f"{folder}/input_status/train.jsonl/manifest.report.csv",
        f"{folder}/input_status/check.jsonl/manifest.report.csv",
        f"{folder}/validated_data/train.jsonl/validated_prompts.jsonl",
        f"{folder}/validated_data/check.jsonl/validated_prompts.jsonl",
        f"{folder}/training_artifacts/step_wise_training_metrics.csv",
        f"{folder}/validation_artifacts/post_fine_tuning_validation/validation/validation_metrics.csv",
    }
    assert found[f"{folder}/validated_data/train.jsonl/validated_prompts.jsonl"] == content
    assert b"No model was trained" in found[f"{folder}/SYNTHETIC.txt"]
    report = found[f"{folder}/input_status/train.jsonl/manifest.report.csv"].decode().splitlines()
    assert report[1] == "train.jsonl,20,20,0,0"


def test_the_curve_ends_in_the_metrics(rehearsed: Account) -> None:
    """The last step's loss is the job's trainingLoss; the curve falls and covers the epochs."""
    job = finished(rehearsed, "curve", rows(64), hyperParameters={"epochCount": "3"})
    found = output(rehearsed, job)
    name = next(key for key in found if key.endswith("step_wise_training_metrics.csv"))
    steps = list(csv.DictReader(io.StringIO(found[name].decode())))

    assert list(steps[0]) == ["step_number", "epoch_number", "training_loss", "perplexity"]
    assert [step["step_number"] for step in steps] == [str(number) for number in range(24)]
    assert {step["epoch_number"] for step in steps} == {"0", "1", "2"}
    losses = [float(step["training_loss"]) for step in steps]
    assert sum(losses[:5]) > sum(losses[-5:])
    assert losses[-1] == pytest.approx(job["trainingMetrics"]["trainingLoss"])


def prompt(number: int) -> bytes:
    """A record for a teacher: no answer."""
    return json.dumps(
        {
            "schemaVersion": "bedrock-conversation-2024",
            "messages": [{"role": "user", "content": [{"text": f"Question {number}?"}]}],
        }
    ).encode()


def distilled(account: Account, name: str, **changed: Any) -> Answer:
    """A distillation job after its end."""
    teacher = {"teacherModelConfig": {"teacherModelIdentifier": "amazon.nova-pro-v1:0"}}
    return finished(
        account,
        name,
        customizationType="DISTILLATION",
        customizationConfig={"distillationConfig": teacher},
        **changed,
    )


def test_distillation_drops_what_is_no_prompt(rehearsed: Account) -> None:
    """Prompts without answers are right; wrong ones are dropped and counted, unless fewer than 100 remain."""
    good = [prompt(number) for number in range(100)]
    wrong = [b"{}", b"not JSON"]
    enough = distilled(rehearsed, "enough", content=b"\n".join(good + wrong))
    short = distilled(rehearsed, "short", content=b"\n".join(good[:99] + wrong))
    found = output(rehearsed, enough)
    report = next(content for key, content in found.items() if key.endswith("manifest.report.csv"))

    assert enough["status"] == "Completed", enough
    assert report.decode().splitlines()[1] == "train.jsonl,102,100,0,2"
    assert message("emulator/number-of-samples-out-of-bounds", number=99) in failure(short)


def log_record(number: int, genre: str) -> Answer:
    """One line of an invocation log."""
    return {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "modelId": "amazon.nova-pro-v1:0",
        "requestMetadata": {"genre": genre},
        "input": {"inputBodyJson": {"messages": [number]}},
        "output": {"outputBodyJson": {"output": number}},
    }


@pytest.mark.parametrize(
    ("filters", "completes"),
    [
        (None, True),
        ({"equals": {"genre": "jazz"}}, True),
        ({"notEquals": {"genre": "jazz"}}, False),
        ({"orAll": [{"equals": {"genre": "jazz"}}, {"equals": {"genre": "rock"}}]}, True),
        ({"andAll": [{"equals": {"genre": "jazz"}}, {"notEquals": {"genre": "jazz"}}]}, False),
    ],
)
def test_distillation_reads_invocation_logs(
    rehearsed: Account, filters: Answer | None, completes: bool
) -> None:
    """Of 110 jazz and 20 rock records, a job takes those that pass its filters, and needs 100."""
    records = [log_record(n, "jazz" if n < 110 else "rock") for n in range(130)]
    lines = "\n".join(map(json.dumps, records)).encode()
    rehearsed.put("AWSLogs/1.json.gz", gzip.compress(lines))
    logs: Answer = {"invocationLogSource": {"s3Uri": f"s3://{rehearsed.bucket}/AWSLogs"}}
    if filters is not None:
        logs["requestMetadataFilters"] = filters
    job = distilled(rehearsed, "logs", trainingDataConfig={"invocationLogsConfig": logs})

    assert job["status"] == ("Completed" if completes else "Failed"), job.get("failureMessage")


def test_reinforcement_reads_its_own_layout(rehearsed: Account) -> None:
    """Prompts with reference answers are taken and give a curve of rewards; conversations are not taken."""
    record = {"messages": [{"role": "user", "content": "2+2?"}], "reference_answer": "4"}
    grader = {"lambdaGrader": {"lambdaArn": "arn:aws:lambda:us-east-1:123456789012:function:grade"}}
    changed = {
        "customizationType": "REINFORCEMENT_FINE_TUNING",
        "customizationConfig": {"rftConfig": {"graderConfig": grader}},
        "baseModelIdentifier": "amazon.nova-2-lite-v1:0:256k",
    }
    content = b"".join(json.dumps(record | {"id": str(n)}).encode() + b"\n" for n in range(100))
    good = finished(rehearsed, "rewarded", content, **changed)
    bad = finished(rehearsed, "unrewarded", rows(100), **changed)
    found = output(rehearsed, good)
    curve = next(body for key, body in found.items() if key.endswith("step_wise_training_metrics.csv"))

    assert good["status"] == "Completed", good
    assert curve.startswith(b"step_number,epoch_number,critic/rewards/mean")
    assert "record 1:" in failure(bad)


hugging_face = {
    "config.json": b'{"architectures": ["LlamaForCausalLM"]}',
    "tokenizer_config.json": b"{}",
    "tokenizer.json": b"{}",
    "model.safetensors": b"weights",
}


def imported(account: Account, name: str, files: dict[str, bytes]) -> Answer:
    """The import job of these files after its end."""
    for file, content in files.items():
        account.put(f"{name}/{file}", content)
    account.bedrock.create_model_import_job(
        jobName=name,
        importedModelName=f"{name}-model",
        roleArn=account.role_arn,
        modelDataSource={"s3DataSource": {"s3Uri": f"s3://{account.bucket}/{name}/"}},
    )
    before: str = account.bedrock.get_model_import_job(jobIdentifier=name)["status"]
    assert before == "InProgress"
    account.advance(hours)
    job: Answer = account.bedrock.get_model_import_job(jobIdentifier=name)
    return job


def test_a_hugging_face_directory_is_imported(rehearsed: Account) -> None:
    """With all its files and a known architecture it becomes a model."""
    job = imported(rehearsed, "tiny", hugging_face)
    model = rehearsed.bedrock.get_imported_model(modelIdentifier=job["importedModelArn"])

    assert job["status"] == "Completed", job
    assert (model["modelName"], model["modelArchitecture"]) == ("tiny-model", "LlamaForCausalLM")


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("weightless", {"model.safetensors": None}, matching("emulator/weights-are-missing")),
        ("mute", {"tokenizer.json": None}, matching("emulator/tokenizer-is-missing", path="tokenizer.json")),
        (
            "bert",
            {"config.json": b'{"architectures": ["BertModel"]}'},
            matching("emulator/bertmodel-is-not-supported"),
        ),
        ("nameless", {"config.json": b"{}"}, matching("emulator/does-not-name-architecture")),
    ],
)
def test_other_directories_fail(
    rehearsed: Account, name: str, changed: dict[str, bytes | None], message: str
) -> None:
    """A missing file or an unknown architecture fails the import, and there is no model."""
    files = {file: content for file, content in (hugging_face | changed).items() if content is not None}
    job = imported(rehearsed, name, files)

    assert job["status"] == "Failed"
    assert "importedModelArn" not in job
    assert re.search(message, job["failureMessage"]), job["failureMessage"]
