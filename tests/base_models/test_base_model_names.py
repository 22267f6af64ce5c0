"""How an experiment may name a base model: name, id, ARN or folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from polytune.base_models.interface import (
    BASE_MODELS,
    checked_base_model,
    custom_model_arn,
    find_base_model,
    is_folder,
    name_of,
)
from polytune.errors import DataError
from polytune.registry import UnknownMember
from tests.messages import matching

CUSTOM = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghij12"
IMPORTED = "arn:aws:bedrock:us-east-1:123456789012:custom-model/imported/abcdefghij12"


@pytest.mark.parametrize("name", BASE_MODELS.names())
def test_every_id_leads_to_its_entry(name: str) -> None:
    """Training id, inference id, profile and the others mean one model and are hashed as its name."""
    for each in (name, *BASE_MODELS.get(name).ids):
        assert name_of(each) == name
        assert checked_base_model(each) == name


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        ("eu.amazon.nova-lite-v1:0", "nova-lite"),
        ("us-gov.amazon.nova-pro-v1:0", "nova-pro"),
        ("amazon.nova-micro-v1:0:24k", "nova-micro"),
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0:300k", "nova-lite"),
        ("arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/amazon.nova-lite-v1:0", "nova-lite"),
        ("arn:aws:bedrock:us-west-2::foundation-model/openai.gpt-oss-20b-1:0", "gpt-oss-20b"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-premier-v1:0",
            "nova-premier",
        ),
    ],
)
def test_ids_of_other_regions_and_arns_lead_there_too(spelled: str, name: str) -> None:
    """A profile of another region and an ARN around an id mean the same model."""
    assert find_base_model(spelled, Path()).name == name
    assert checked_base_model(spelled) == name
    assert custom_model_arn(spelled) is None


def test_a_custom_model_stays_itself() -> None:
    """A custom model's ARN has its base model's facts, but is what a job trains further, so it is hashed."""
    assert find_base_model(CUSTOM, Path()).name == "nova-lite"
    assert checked_base_model(CUSTOM) == CUSTOM
    assert custom_model_arn(CUSTOM) == CUSTOM
    assert not is_folder(CUSTOM)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nova-lit", matching("base_models/unknown-base-model", model="nova-lit", suggestion="nova-lite")),
        ("amazon.nova-lite-v2:0", matching("general/did-you-mean", suggestion="amazon.nova-lite-v1:0")),
        ("x.y", r"unknown base model 'x\.y'\. Known: claude-3-haiku, "),
        (
            "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v9:0",
            matching("base_models/unknown-base-model-without-suggestion", model="amazon.nova-lite-v9:0"),
        ),
    ],
)
def test_an_unknown_name_gets_the_nearest(name: str, message: str) -> None:
    """A mistake in a name is answered with a name, one in an id with an id."""
    with pytest.raises(UnknownMember, match=message):
        find_base_model(name, Path())
    with pytest.raises(ValueError, match=message):
        checked_base_model(name)


@pytest.mark.parametrize(
    ("arn", "message"),
    [
        (IMPORTED, matching("base_models/does-not-say-what-it-was")),
        ("arn:aws:s3:::bucket/key", matching("base_models/not-arn-of-base-model")),
        (
            "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0",
            matching("base_models/not-arn-of"),
        ),
        (
            "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0/abcdefghij12",
            matching("base_models/not-arn"),
        ),
        (
            "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghij12",
            matching("base_models/arn-of-custom-model-deployment"),
        ),
        (
            "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abcdefghij12",
            matching("base_models/arn-of-provisioned-model"),
        ),
    ],
)
def test_an_arn_of_something_else_is_refused(arn: str, message: str) -> None:
    """The message says what the ARN is of, or what one would have to look like."""
    with pytest.raises(DataError, match=message):
        find_base_model(arn, Path())
    with pytest.raises(ValueError, match=message):
        checked_base_model(arn)
    assert custom_model_arn(arn) == (arn if arn == IMPORTED else None)


def test_a_path_is_a_folder(tmp_path: Path) -> None:
    """What has a slash and is no ARN is looked for on disk."""
    assert is_folder("./nova-lite")
    assert checked_base_model("./nova-lite") == "./nova-lite"
    with pytest.raises(DataError, match=matching("general/no-such-folder")):
        find_base_model("./nova-lite", tmp_path)
