"""Every request that polytune makes of Bedrock obeys botocore's model: patterns, enums, bounds, unions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest

from polytune.aws.naming import longest_name, tags_of, unique_name
from polytune.aws.shapes import check_request
from polytune.base_models.interface import BASE_MODELS
from polytune.platforms.bedrock.requests import Places, customization, deploying, importing
from polytune.platforms.interface import Customization, Deploying, Importing, Label, Logs, Teaching
from polytune.steps.distill import LogsSpec

model = botocore.session.get_session().get_service_model("bedrock")
plain = Places(
    region="us-east-1",
    bucket="my-bucket",
    output_bucket="my-outputs",
    prefix="polytune",
    role_arn="arn:aws:iam::123456789012:role/Bedrock",
)
guarded = Places(
    region="us-east-1",
    bucket="my-bucket",
    output_bucket="my-bucket",
    prefix="a/b",
    role_arn="arn:aws:iam::123456789012:role/Bedrock",
    kms_key_arn="arn:aws:kms:us-east-1:123456789012:key/082cd05f-96d1-49f6-a5ac-32093d2cfe38",
    subnet_ids=("subnet-0a1b2c3d4e5f60718",),
    security_group_ids=("sg-0a1b2c3d4e5f60718",),
)
label = Label(project="strudel", experiment="strudel nova/lite@warm=3, ü", step="train")
uris = {"train": "s3://my-bucket/p/train.jsonl", "validation": "s3://my-bucket/p/validation.jsonl"}
token = f"{'0a1b2c3d' * 4}-12"
conversation = "bedrock-conversation-2024"


def whole(request: dict[str, Any], names: tuple[str, ...], tags: tuple[str, ...]) -> dict[str, Any]:
    """The request as a driver completes it."""
    stated = tags_of(request["label"], token, **request.get("lease", {}))
    name = unique_name(request["label"], token)
    return {
        **request["members"],
        **dict.fromkeys(names, name),
        **dict.fromkeys(tags, stated),
        "clientRequestToken": token,
    }


def asked(ask: Customization, places: Places, teacher_id: str = "") -> dict[str, Any]:
    """A customization's whole request, checked."""
    entry = BASE_MODELS.get(ask.base_model)
    request = customization(ask, entry, teacher_id, uris, places)
    members = whole(request, ("jobName", "customModelName"), ("jobTags", "customModelTags"))
    check_request("bedrock", model.operation_model("CreateModelCustomizationJob"), members)
    return members


@pytest.mark.parametrize("places", [plain, guarded])
def test_fine_tuning(places: Places) -> None:
    """Hyperparameters go as text under the API's names, numbers without exponents."""
    values: dict[str, int | float | str] = {"epochs": 2, "learning_rate": 5e-5, "warmup_steps": 6}
    ask = Customization(base_model="nova-lite", hyperparameters=values, layout=conversation, label=label)

    members = asked(ask, places)

    assert members["hyperParameters"] == {
        "epochCount": "2",
        "learningRate": "0.00005",
        "learningRateWarmupSteps": "6",
    }
    assert members["validationDataConfig"] == {"validators": [{"s3Uri": uris["validation"]}]}
    assert (
        members["outputDataConfig"]["s3Uri"] == f"s3://{places.output_bucket}/{places.prefix}/strudel/jobs/"
    )
    assert ("vpcConfig" in members) == ("customModelKmsKeyId" in members) == (places is guarded)


def test_a_validation_set_that_may_be_refused_is_not_sent() -> None:
    """Sources disagree on Nova 2 Lite taking one, so it is left out."""
    ask = Customization(base_model="nova-2-lite", layout=conversation, label=label)

    assert "validationDataConfig" not in asked(ask, plain)


def test_iterative_training_names_the_custom_model() -> None:
    """The base model of a second training is the first one's custom model."""
    arn = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghij12"
    ask = Customization(base_model="nova-lite", starts_from=arn, layout=conversation, label=label)

    assert asked(ask, plain)["baseModelIdentifier"] == arn


def test_distillation_from_a_dataset() -> None:
    """The teacher and the length of its answers are stated, hyperparameters are not."""
    ask = Customization(
        kind="distillation",
        base_model="nova-micro",
        layout=conversation,
        label=label,
        teaching=Teaching(teacher_model="nova-pro", max_response_tokens=1000),
    )

    members = asked(ask, plain, "amazon.nova-pro-v1:0")

    teacher = members["customizationConfig"]["distillationConfig"]["teacherModelConfig"]
    assert teacher == {
        "teacherModelIdentifier": "amazon.nova-pro-v1:0",
        "maxResponseLengthForInference": 1000,
    }
    assert "hyperParameters" not in members


@pytest.mark.parametrize(
    ("logs", "filters"),
    [
        (LogsSpec(uri="s3://my-logs/AWSLogs"), {}),
        (LogsSpec(uri="s3://my-logs/AWSLogs", match={"app": "x"}), {"equals": {"app": "x"}}),
        (
            LogsSpec(uri="s3://my-logs/AWSLogs", match={"app": "x", "tier": "1"}, exclude={"test": "yes"}),
            {
                "andAll": [
                    {"equals": {"app": "x"}},
                    {"equals": {"tier": "1"}},
                    {"notEquals": {"test": "yes"}},
                ]
            },
        ),
    ],
)
def test_distillation_from_logs(logs: LogsSpec, filters: dict[str, Any]) -> None:
    """One condition stands alone, several are joined, and no map ever has two entries."""
    ask = Customization(
        kind="distillation",
        base_model="nova-lite",
        layout="",
        label=label,
        teaching=Teaching(teacher_model="nova-premier", max_response_tokens=100),
        logs=Logs(uri=logs.uri, use_responses=logs.use_responses, filters=logs.filters()),
    )

    data = asked(ask, plain, "us.amazon.nova-premier-v1:0")["trainingDataConfig"]

    assert data["invocationLogsConfig"].get("requestMetadataFilters", {}) == filters
    assert "s3Uri" not in data


def test_reinforcement() -> None:
    """Hyperparameters are numbers there, and the grader is a function."""
    grader = "arn:aws:lambda:us-east-1:123456789012:function:polytune-reward-0a1b2c3d4e5f"
    values: dict[str, int | float | str] = {
        "epochs": 1,
        "learning_rate": 1e-5,
        "samples_per_prompt": 8,
        "reasoning_effort": "low",
    }
    ask = Customization(
        kind="reinforcement_fine_tuning",
        base_model="nova-2-lite",
        hyperparameters=values,
        layout="bedrock-rft",
        label=label,
        grader=grader,
    )

    config = asked(ask, plain)["customizationConfig"]["rftConfig"]

    assert config["hyperParameters"] == {
        "epochCount": 1,
        "learningRate": 1e-5,
        "trainingSamplePerPrompt": 8,
        "reasoningEffort": "low",
    }
    assert config["graderConfig"]["lambdaGrader"]["lambdaArn"] == grader


@pytest.mark.parametrize("places", [plain, guarded])
def test_import(places: Places) -> None:
    """The key encrypts the imported model."""
    request = importing(Importing(uri="s3://my-bucket/p/sha256-0/", label=label), places)
    members = whole(request, ("jobName", "importedModelName"), ("jobTags", "importedModelTags"))

    check_request("bedrock", model.operation_model("CreateModelImportJob"), members)


def test_deployments_carry_their_lease() -> None:
    """When it may be torn down stands in tags, so that any machine can read it."""
    custom = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghij12"
    ask = Deploying(
        kind="on_demand",
        name="",
        model={"model_arn": custom},
        ttl_seconds=7 * 86_400,
        idle_seconds=3600,
        label=label,
    )
    request = deploying(ask, datetime(2026, 11, 21, 12, 0, tzinfo=UTC))

    members = whole(request, ("modelDeploymentName",), ("tags",))

    check_request("bedrock", model.operation_model("CreateCustomModelDeployment"), members)
    tags = {tag["key"]: tag["value"] for tag in members["tags"]}
    assert tags["polytune:expires-at"] == "2026-11-28T12:00:00Z"
    assert tags["polytune:idle-seconds"] == "3600"
    assert tags["polytune:key"] == token


@pytest.mark.parametrize("commitment", ["none", "one_month", "six_months"])
def test_provisioned_throughput(commitment: Any) -> None:
    """No commitment is an absent member."""
    custom = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghij12"
    ask = Deploying(
        kind="provisioned", name="", model={"model_arn": custom}, units=2, commitment=commitment, label=label
    )

    members = whole(deploying(ask), ("provisionedModelName",), ("tags",))

    check_request("bedrock", model.operation_model("CreateProvisionedModelThroughput"), members)
    assert ("commitmentDuration" in members) == (commitment != "none")


@pytest.mark.parametrize("experiment", ["a", "x" * 200, "---", "strudel--v1", "Ünïcode", "9.5@b=1"])
def test_names_are_short_and_differ_by_token(experiment: str) -> None:
    """A name fits every pattern, and keeps key and attempt, whatever the experiment is called."""
    facts = {"project": "p", "experiment": experiment, "step": "train"}

    name = unique_name(facts, token)

    assert len(name) <= longest_name
    assert name.endswith("-0a1b2c3d0a-12")
    assert "--" not in name
    assert name != unique_name(facts, f"{token}0")
