"""What the service refuses at the call: patterns, enums, bounds, models, hyperparameters, configurations."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.messages import matching, message

from .emulator_account import Account

lambda_arn = "arn:aws:lambda:us-east-1:123456789012:function:grade"
rft_base = "amazon.nova-2-lite-v1:0:256k"


def taught(teacher: str) -> dict[str, Any]:
    """The members of a distillation job."""
    config = {"distillationConfig": {"teacherModelConfig": {"teacherModelIdentifier": teacher}}}
    return {"customizationType": "DISTILLATION", "customizationConfig": config}


def rewarded(**hyperparameters: Any) -> dict[str, Any]:
    """The members of a reinforcement job."""
    config = {"graderConfig": {"lambdaGrader": {"lambdaArn": lambda_arn}}, "hyperParameters": hyperparameters}
    return {
        "customizationType": "REINFORCEMENT_FINE_TUNING",
        "customizationConfig": {"rftConfig": config},
        "baseModelIdentifier": rft_base,
    }


refusals: dict[str, tuple[dict[str, Any], str]] = {
    "name-pattern": (
        {"jobName": "with space"},
        matching("emulator/pattern-constraint-is-not-met", name="jobName"),
    ),
    "name-length": ({"jobName": "a" * 64}, matching("emulator/length-less-than-or-equal", name="jobName")),
    "role-pattern": ({"roleArn": "somebody"}, r"'roleArn' .*pattern"),
    "enum": ({"customizationType": "BANANA"}, r"'customizationType' .*enum value set: \[FINE_TUNING"),
    "uri": ({"outputDataConfig": {"s3Uri": "s3://bucket/a b"}}, r"'outputDataConfig.s3Uri' .*pattern"),
    "nested": (
        {"validationDataConfig": {"validators": [{"s3Uri": "file"}]}},
        r"'validationDataConfig.validators.1.member.s3Uri' .*pattern",
    ),
    "range": (
        rewarded(epochCount=51),
        matching("emulator/less-than-or-equal", name="rftConfig.hyperParameters.epochCount", number=50),
    ),
    "base-unknown": (
        {"baseModelIdentifier": "amazon.nova-mega-v1:0"},
        matching("emulator/model-identifier-is-invalid"),
    ),
    "base-inference-id": (
        {"baseModelIdentifier": "amazon.nova-lite-v1:0"},
        matching("emulator/fine-tuning-is-not-supported"),
    ),
    "base-gone": (
        {
            "baseModelIdentifier": "arn:aws:bedrock:us-east-1:123456789012:custom-model/"
            "amazon.nova-lite-v1:0:300k/aaaaaaaaaaaa"
        },
        matching("emulator/model-identifier-is-invalid"),
    ),
    "continued-pre-training": (
        {"customizationType": "CONTINUED_PRE_TRAINING"},
        matching("emulator/continued-pre-training-is-not-supported"),
    ),
    "imported": ({"customizationType": "IMPORTED"}, matching("emulator/imported-is-not-supported")),
    "reinforcement-base": (
        rewarded() | {"baseModelIdentifier": "amazon.nova-lite-v1:0:300k"},
        matching("emulator/reinforcement-fine-tuning-is-not-supported"),
    ),
    "hyperparameter-unknown": (
        {"hyperParameters": {"epochs": "2"}},
        matching("emulator/hyperparameter-epochs-is-not-supported"),
    ),
    "hyperparameter-range": ({"hyperParameters": {"epochCount": "6"}}, "epochCount is invalid: .*1 to 5"),
    "hyperparameter-fraction": ({"hyperParameters": {"epochCount": "1.5"}}, "epochCount is invalid"),
    "hyperparameter-word": ({"hyperParameters": {"learningRate": "high"}}, "learningRate is invalid"),
    "reinforcement-map": (
        rewarded() | {"hyperParameters": {"epochCount": "2"}},
        matching("emulator/hyperparameters-belong-in"),
    ),
    "config-missing": ({"customizationType": "DISTILLATION"}, "distillationConfig is required"),
    "config-other": (
        {"customizationType": "DISTILLATION", "customizationConfig": rewarded()["customizationConfig"]},
        "distillationConfig is required",
    ),
    "config-needless": (
        {"customizationConfig": taught("amazon.nova-pro-v1:0")["customizationConfig"]},
        matching("emulator/customizationconfig-is-not-supported"),
    ),
    "teacher-pair": (
        taught("amazon.nova-pro-v1:0") | {"baseModelIdentifier": "amazon.nova-pro-v1:0:300k"},
        matching("emulator/teacher-model-is-not-supported", model="amazon.nova-pro-v1:0"),
    ),
    "teacher-without-profile": (
        taught("amazon.nova-premier-v1:0"),
        matching("emulator/teacher-model-is-not-supported"),
    ),
    "no-data": ({"trainingDataConfig": {}}, matching("emulator/training-data-config-must-have-uri")),
    "logs-for-fine-tuning": (
        {"trainingDataConfig": {"invocationLogsConfig": {"invocationLogSource": {"s3Uri": "s3://bucket/l"}}}},
        matching("emulator/training-data-config-must-have-uri"),
    ),
}


@pytest.mark.parametrize("case", refusals)
def test_a_wrong_request_is_refused_with_its_reason(account: Account, case: str) -> None:
    """A ValidationException that names what is wrong; no job is made and the SDK does not try again."""
    changed, reason = refusals[case]
    with pytest.raises(account.bedrock.exceptions.ValidationException, match=reason):
        account.create("wrong", **{"jobName": "wrong"} | changed)

    assert account.control("state")["jobs"] == []
    assert account.calls("CreateModelCustomizationJob") == 1


def test_all_reasons_come_at_once(account: Account) -> None:
    """Two wrong members are two validation errors in one message."""
    with pytest.raises(
        account.bedrock.exceptions.ValidationException,
        match=r"2 validation errors detected: .*customModelName.*; .*roleArn",
    ):
        account.create(roleArn="x", customModelName="-")


@pytest.mark.parametrize(
    "changed", [taught("us.amazon.nova-premier-v1:0"), taught("amazon.nova-pro-v1:0"), rewarded()]
)
def test_other_customization_types_are_taken(account: Account, changed: dict[str, Any]) -> None:
    """Distillation with an allowed teacher and reinforcement with a Lambda; the configuration is echoed."""
    job = account.job(account.create(**changed))

    assert job["customizationType"] == changed["customizationType"]
    for member, config in changed["customizationConfig"].items():
        assert config.items() <= (job["customizationConfig"][member] | {"hyperParameters": {}}).items()


def test_effective_hyperparameters_are_echoed(account: Account) -> None:
    """What was not given appears with its default, as texts in the service's own spelling."""
    job = account.job(account.create(hyperParameters={"epochCount": "3"}))

    assert job["hyperParameters"] == {
        "batchSize": "1",
        "epochCount": "3",
        "learningRate": "1.0E-5",
        "learningRateWarmupSteps": "10",
    }


def test_reinforcement_defaults_are_numbers(account: Account) -> None:
    """Defaults of reinforcement fine-tuning are merged into its configuration, not into hyperParameters."""
    job = account.job(account.create(**rewarded(batchSize=64)))
    numbers = job["customizationConfig"]["rftConfig"]["hyperParameters"]

    assert job["hyperParameters"] == {}
    assert numbers["batchSize"] == 64
    assert numbers["epochCount"] == 1
    assert numbers["reasoningEffort"] == "medium"


def test_a_request_without_credentials_is_refused(account: Account) -> None:
    """403 with the code MissingAuthenticationTokenException, as JSON."""
    with pytest.raises(urllib.error.HTTPError, match="403") as caught:
        urllib.request.urlopen(f"{account.address}/foundation-models", timeout=5)

    with caught.value as error:
        assert error.headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"
        assert json.load(error) == {"message": message("emulator/missing-authentication-token")}


def test_a_bearer_token_is_as_good_as_a_signature(account: Account) -> None:
    """Bedrock API keys come as bearer tokens."""
    request = urllib.request.Request(
        f"{account.address}/foundation-models", headers={"Authorization": "Bearer key"}
    )
    with urllib.request.urlopen(request, timeout=5) as response:
        assert json.load(response)["modelSummaries"]


@pytest.mark.parametrize(
    ("body", "code"), [(b"{", "SerializationException"), (b'{"jobName": 5}', "SerializationException")]
)
def test_a_body_that_cannot_be_read_is_refused(account: Account, body: bytes, code: str) -> None:
    """Broken JSON and a member of the wrong type are the client's mistake: 400."""
    request = urllib.request.Request(
        f"{account.address}/model-customization-jobs", data=body, headers={"Authorization": "Bearer key"}
    )
    with pytest.raises(urllib.error.HTTPError, match="400") as caught:
        urllib.request.urlopen(request, timeout=5)

    with caught.value as error:
        assert error.headers["x-amzn-ErrorType"] == code


def test_an_unknown_path_is_json_too(account: Account) -> None:
    """404 UnknownOperationException, never a page of HTML."""
    with pytest.raises(urllib.error.HTTPError, match="404") as caught:
        urllib.request.urlopen(f"{account.address}/no/such/thing", timeout=5)

    with caught.value as error:
        assert error.headers["x-amzn-ErrorType"] == "UnknownOperationException"
        assert "message" in json.load(error)
