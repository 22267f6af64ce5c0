"""Recorded answers of the real service against the emulator's to the same calls: members, types, formats."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from tests.messages import message

from .emulator_account import Account, hours, key_arn
from .emulator_differences import known
from .emulator_shapes import Wire, faults

recordings = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parent / "recordings").glob("*.json"))
}
formats = (
    ("model ARN", r"arn:aws:bedrock:[a-z0-9-]+:\d{12}:custom-model/[a-z0-9.-]+(:[a-z0-9]+)+/[a-z0-9]{12}"),
    (
        "job ARN",
        r"arn:aws:bedrock:[a-z0-9-]+:\d{12}:model-customization-job/[a-z0-9.-]+(:[a-z0-9]+)+/[a-z0-9]{12}",
    ),
    ("foundation ARN", r"arn:aws:bedrock:[a-z0-9-]+::foundation-model/[a-z0-9.-]+(:[a-z0-9]+)+"),
    ("role ARN", r"arn:aws:iam::\d{12}:role/.+"),
    ("key ARN", r"arn:aws:kms:[a-z0-9-]+:\d{12}:key/[0-9a-f-]{36}"),
    ("time", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
    ("S3 URI", r"s3://[a-z0-9.-]+(/.*)?"),
    ("uuid", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    ("number", r"\d+(\.\d+)?(E-?\d+)?"),
)
written_as_numbers = "hyperParameters"


def skeleton(value: Any, path: str = "") -> dict[str, str]:
    """Each member's path and what kind of value it has: its JSON type, or a known format of text."""
    if isinstance(value, dict):
        below = [skeleton(item, f"{path}.{key}") for key, item in value.items()]
        if path.endswith(written_as_numbers):
            below = [skeleton(item, f"{path}{{}}") for item in value.values()]
        return {path: "object"} | {key: kind for part in below for key, kind in part.items()}
    if isinstance(value, list):
        return {path: "list"} | {
            key: kind for item in value for key, kind in skeleton(item, f"{path}[]").items()
        }
    return {path: kind_of(value)}


def kind_of(value: Any) -> str:
    """The name of a value's format, or of its type."""
    if isinstance(value, str):
        return next((name for name, form in formats if re.fullmatch(form, value)), "text")
    return type(value).__name__


def played(account: Account) -> dict[str, dict[str, Any]]:
    """What the emulator answers to the calls that were recorded, by the recordings' names."""
    bedrock = account.bedrock
    wire = Wire(bedrock)

    def last(operation: str) -> dict[str, Any]:
        body: dict[str, Any] = wire.bodies[operation][-1][1]
        return body

    found: dict[str, dict[str, Any]] = {}
    model = account.trained(
        "finished",
        validationDataConfig={"validators": [{"s3Uri": "s3://training-data/v.jsonl"}]},
        customModelTags=[{"key": "Owner", "value": "c7n"}],
    )
    bedrock.get_custom_model(modelIdentifier=model)
    found["GetCustomModel"] = last("GetCustomModel")
    bedrock.list_custom_models()
    found["ListCustomModels"] = last("ListCustomModels")
    bedrock.list_tags_for_resource(resourceARN=model)
    found["ListTagsForResource-model"] = last("ListTagsForResource")
    bedrock.tag_resource(resourceARN=model, tags=[{"key": "foo", "value": "bar"}])
    bedrock.untag_resource(resourceARN=model, tagKeys=["foo"])
    bedrock.delete_custom_model(modelIdentifier=model)
    for operation in ("TagResource", "UntagResource", "DeleteCustomModel"):
        found[operation] = last(operation)
    account.control("reset", {})
    plain = account.create("without-key", jobTags=[{"key": "Owner", "value": "somebody"}])
    account.job(plain)
    found["GetModelCustomizationJob-without-key"] = last("GetModelCustomizationJob")
    bedrock.list_model_customization_jobs()
    found["ListModelCustomizationJobs"] = last("ListModelCustomizationJobs")
    bedrock.list_tags_for_resource(resourceARN=plain)
    found["ListTagsForResource-job"] = last("ListTagsForResource")
    keyed = account.create("with-key", customModelKmsKeyId=key_arn)
    account.advance(hours)
    account.job(keyed)
    found["GetModelCustomizationJob-in-progress"] = last("GetModelCustomizationJob")
    bedrock.stop_model_customization_job(jobIdentifier=keyed)
    found["StopModelCustomizationJob"] = last("StopModelCustomizationJob")
    account.job(keyed)
    found["GetModelCustomizationJob-stopping"] = last("GetModelCustomizationJob")
    bedrock.list_foundation_models(byCustomizationType="FINE_TUNING")
    found["ListFoundationModels"] = last("ListFoundationModels")
    return found


def test_every_recording_was_played(account: Account) -> None:
    """For each recording there is an answer of the emulator to compare it with."""
    assert set(played(account)) == set(recordings)


def test_recorded_and_emulated_answers_agree(account: Account) -> None:
    """Answers have the recorded members in the same types and formats, and no others, but for known ones."""
    unlike = set()
    for name, answer in played(account).items():
        operation, real = recordings[name]["operation"], skeleton(recordings[name]["data"])
        emulated = skeleton(answer)
        members = {path for path in real.keys() | emulated.keys() if real.get(path) != emulated.get(path)}
        unlike |= {(operation, outermost(path, members)) for path in members}

    assert unlike == known("emulator and recording")


def outermost(path: str, members: set[str]) -> str:
    """The longest-standing ancestor of a path that disagrees too, or the path itself."""
    return min((other for other in members if path == other or path.startswith(f"{other}.")), key=len)


@pytest.mark.parametrize("name", recordings)
def test_the_walker_accepts_the_real_service(name: str) -> None:
    """Real answers pass the walker that judges the emulator, but for the known disagreements."""
    recorded = recordings[name]
    model = botocore.session.get_session().get_service_model("bedrock")
    shape = model.operation_model(recorded["operation"]).output_shape

    found = {(recorded["operation"], fault.split(": ", 1)[0]) for fault in faults(shape, recorded["data"])}
    assert found <= known("recording and model")


def test_the_walker_finds_what_is_wrong() -> None:
    """A member of the wrong type, a missing one, an unknown one and a bad pattern are each reported."""
    model = botocore.session.get_session().get_service_model("bedrock")
    shape = model.operation_model("GetCustomModelDeployment").output_shape
    body = {"customModelDeploymentArn": "nonsense", "createdAt": 7, "status": "Ready", "surprise": 1}

    found = set(faults(shape, body))
    assert found == {
        ".customModelDeploymentArn: does not match the pattern",
        ".createdAt: is no timestamp",
        ".status: " + message("emulator/is-not-in-enum"),
        ".surprise: is unknown",
        ".modelDeploymentName: is missing",
        ".modelArn: is missing",
    }
