"""Requests that AWS would refuse never leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import botocore.session
import pytest

from polytune.aws.shapes import RequestRefused, check_request, lacking_members
from tests.messages import matching

models = botocore.session.Session()
role = "arn:aws:iam::123456789012:role/polytune"


def operation(service: str, name: str) -> Any:
    """An operation of botocore's model."""
    return models.get_service_model(service).operation_model(name)


def job(**changed: object) -> dict[str, Any]:
    """A customization job that obeys every rule, but for what is changed."""
    return {
        "jobName": "strudel-1f2e3d4c",
        "customModelName": "strudel-1f2e3d4c",
        "roleArn": role,
        "baseModelIdentifier": "amazon.nova-lite-v1:0:300k",
        "customizationType": "FINE_TUNING",
        "trainingDataConfig": {"s3Uri": "s3://bucket/polytune/strudel/sha256-00/train.jsonl"},
        "outputDataConfig": {"s3Uri": "s3://bucket/out/"},
        "hyperParameters": {"epochCount": "2"},
        **changed,
    }


def test_a_good_request_passes() -> None:
    """Nothing is raised."""
    check_request("bedrock", operation("bedrock", "CreateModelCustomizationJob"), job())


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"customizationType": "BANANA"}, matching("aws/customizationtype-banana")),
        ({"jobName": "under_score"}, r"jobName \(under_score\): must match"),
        ({"jobName": "x" * 64}, r"jobName \(x+\): has 64 characters, must have 1 to 63"),
        ({"roleArn": "polytune"}, r"roleArn \(polytune\): must match arn:aws"),
        ({"roleArn": None}, r"roleArn: is required"),
        (
            {"trainingDataConfig": {"s3Uri": "s3://bucket/a b"}},
            r"trainingDataConfig.s3Uri \(s3://bucket/a b\): must",
        ),
        ({"jobNme": "x"}, r"jobNme(: | \(x\): )" + matching("aws/is-not-member")),
        (
            {"vpcConfig": {"subnetIds": ["subnet_1"], "securityGroupIds": ["sg-1"]}},
            r"vpcConfig.subnetIds\[0\] \(subnet_1\): must match",
        ),
        ({"customModelTags": [{"key": "a", "value": "b"}] * 201}, r"has 201 items, must have 0 to 200"),
        (
            {"customizationConfig": {"rftConfig": {"hyperParameters": {"epochCount": 51}}}},
            matching(
                "aws/must-be-from",
                name="customizationConfig.rftConfig.hyperParameters.epochCount",
                number=51,
                number2=50,
            ),
        ),
    ],
)
def test_a_bad_member_is_named_with_its_value_and_rule(changed: Mapping[str, Any], told: str) -> None:
    """The message says where, what and which rule."""
    with pytest.raises(RequestRefused, match=told):
        check_request("bedrock", operation("bedrock", "CreateModelCustomizationJob"), job(**changed))


def test_every_wrong_member_is_told_at_once() -> None:
    """One run shows all problems."""
    wrong = job(jobName="no spaces", customizationType="NONE", roleArn=None)

    with pytest.raises(RequestRefused, match=r"(?s)roleArn.*jobName.*customizationType.*Nothing was sent"):
        check_request("bedrock", operation("bedrock", "CreateModelCustomizationJob"), wrong)


@pytest.mark.parametrize(
    "base",
    [
        "amazon.nova-2-lite-v1:0:256k",
        "amazon.nova-micro-v1:0:128k",
        "anthropic.claude-3-haiku-20240307-v1:0:200k",
        "meta.llama3-3-70b-instruct-v1:0:128k",
        "amazon.titan-image-generator-v2:0",
        "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0:300k",
        "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghij12",
    ],
)
def test_real_base_models_pass(base: str) -> None:
    """The model's pattern is read the way the service reads it."""
    check_request(
        "bedrock", operation("bedrock", "CreateModelCustomizationJob"), job(baseModelIdentifier=base)
    )


@pytest.mark.parametrize(
    "model",
    [
        "us.amazon.nova-2-lite-v1:0",
        "amazon.nova-micro-v1:0",
        "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghij12",
        "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abcdefghij12",
        "arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefghij12",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-premier-v1:0",
    ],
)
def test_everything_that_converse_takes_passes(model: str) -> None:
    """Deployments, provisioned, imported and base models, profiles."""
    messages = [{"role": "user", "content": [{"text": "line one\nline two"}]}]

    check_request(
        "bedrock-runtime", operation("bedrock-runtime", "Converse"), {"modelId": model, "messages": messages}
    )


def test_an_enum_that_the_service_ignores_is_not_enforced() -> None:
    """Judge evaluations send a task type that the model does not list."""
    metric = {"taskType": "General", "dataset": {"name": "x"}, "metricNames": ["Builtin.Correctness"]}
    members = {
        "jobName": "judge-1",
        "roleArn": role,
        "evaluationConfig": {"automated": {"datasetMetricConfigs": [metric]}},
        "inferenceConfig": {"models": [{"bedrockModel": {"modelIdentifier": "amazon.nova-micro-v1:0"}}]},
        "outputDataConfig": {"s3Uri": "s3://bucket/out/"},
    }

    check_request("bedrock", operation("bedrock", "CreateEvaluationJob"), members)


@pytest.mark.parametrize("name", ["CreateModelCustomizationJob", "CreateModelInvocationJob"])
def test_a_name_full_of_dashes_is_judged_at_all(name: str) -> None:
    """The model's own pattern would take years on it."""
    wrong = {"jobName": "a" + "-" * 60 + "_"}

    with pytest.raises(RequestRefused, match=r"jobName \(a-+_\): must match"):
        check_request("bedrock", operation("bedrock", name), wrong)


def test_an_answer_without_its_promised_members_is_noticed() -> None:
    """Each one is named."""
    create = operation("bedrock", "CreateModelCustomizationJob")

    assert lacking_members(create, {"ResponseMetadata": {}}) == ["jobArn"]
    assert lacking_members(create, {"jobArn": "arn"}) == []


def test_a_member_that_real_answers_leave_out_is_not_asked_for() -> None:
    """A job without validation data has no validationDataConfig, though the model requires one."""
    get = operation("bedrock", "GetModelCustomizationJob")
    members = dict.fromkeys(get.output_shape.required_members, "x")
    del members["validationDataConfig"]

    assert lacking_members(get, members) == []
