"""Every answer of every implemented operation against botocore's own output shapes, byte for byte as sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from polytune.emulator.bedrock.program import AREAS
from polytune.emulator.bedrock.world import World
from tests.messages import matching

from .emulator_account import Account, hours, key_arn
from .emulator_differences import known
from .emulator_shapes import Wire, faults

elsewhere = (
    "CreateModelInvocationJob",
    "GetModelInvocationJob",
    "ListModelInvocationJobs",
    "StopModelInvocationJob",
)
"""Operations whose answers other files of this folder look at."""


@pytest.fixture
def wire(account: Account) -> Wire:
    """What the control plane sends, recorded."""
    return Wire(account.bedrock)


def every_operation(account: Account) -> None:
    """Each operation of the control plane has been answered at least once, in several states."""
    bedrock = account.bedrock
    tags = [{"key": "team", "value": "audio"}]
    arn = account.create(
        "full",
        jobTags=tags,
        customModelTags=tags,
        customModelKmsKeyId=key_arn,
        vpcConfig={"subnetIds": ["subnet-1"], "securityGroupIds": ["sg-1"]},
        validationDataConfig={"validators": [{"s3Uri": "s3://training-data/data/validation.jsonl"}]},
        hyperParameters={"epochCount": "3"},
    )
    account.create("plain")
    for _ in range(4):
        account.job(arn)
        bedrock.list_model_customization_jobs(maxResults=1)
        account.advance(120)
    teacher = {"teacherModelIdentifier": "amazon.nova-pro-v1:0", "maxResponseLengthForInference": 1000}
    distil = {"distillationConfig": {"teacherModelConfig": teacher}}
    account.create("taught", customizationType="DISTILLATION", customizationConfig=distil)
    grader = {"lambdaGrader": {"lambdaArn": "arn:aws:lambda:us-east-1:123456789012:function:grade"}}
    reinforced = {"rftConfig": {"graderConfig": grader, "hyperParameters": {"batchSize": 64}}}
    account.create(
        "rewarded",
        customizationType="REINFORCEMENT_FINE_TUNING",
        customizationConfig=reinforced,
        baseModelIdentifier="amazon.nova-2-lite-v1:0:256k",
    )
    account.fault("failed_training", "CreateModelCustomizationJob", times=1)
    account.create("broken")
    stopped = account.create("stopped")
    bedrock.stop_model_customization_job(jobIdentifier=stopped)
    account.job("stopped")
    account.advance(5 * hours)
    for name in ("full", "plain", "taught", "rewarded", "broken", "stopped"):
        account.job(name)
    model = account.job(arn)["outputModelArn"]
    _tags(bedrock, model)
    _models(account, model)
    _deployments(account, model)
    _throughput(account, model)
    _imports(account)
    bedrock.delete_custom_model(modelIdentifier="plain-model")


def _tags(bedrock: Any, arn: str) -> None:
    bedrock.tag_resource(resourceARN=arn, tags=[{"key": "more", "value": ""}])
    bedrock.list_tags_for_resource(resourceARN=arn)
    bedrock.untag_resource(resourceARN=arn, tagKeys=["more"])


def _models(account: Account, model: str) -> None:
    bedrock = account.bedrock
    bedrock.create_custom_model(
        modelName="brought", modelSourceConfig={"s3DataSource": {"s3Uri": "s3://escrow/model"}}
    )
    bedrock.get_custom_model(modelIdentifier="brought")
    bedrock.get_custom_model(modelIdentifier=model)
    bedrock.list_custom_models()
    bedrock.list_foundation_models()
    bedrock.get_foundation_model(modelIdentifier="amazon.nova-lite-v1:0:300k")
    bedrock.list_inference_profiles()
    bedrock.get_inference_profile(inferenceProfileIdentifier="us.amazon.nova-lite-v1:0")
    job = bedrock.create_model_copy_job(
        sourceModelArn=model, targetModelName="copy", modelKmsKeyId=key_arn, targetModelTags=[]
    )
    bedrock.get_model_copy_job(jobArn=job["jobArn"])
    account.advance(hours)
    bedrock.list_model_copy_jobs()
    bedrock.get_custom_model(modelIdentifier="copy")


def _deployments(account: Account, model: str) -> None:
    bedrock = account.bedrock
    bedrock.create_custom_model_deployment(modelDeploymentName="live", modelArn=model, description="first")
    bedrock.get_custom_model_deployment(customModelDeploymentIdentifier="live")
    account.advance(hours)
    bedrock.update_custom_model_deployment(customModelDeploymentIdentifier="live", modelArn=model)
    bedrock.get_custom_model_deployment(customModelDeploymentIdentifier="live")
    account.advance(hours)
    bedrock.list_custom_model_deployments()
    bedrock.get_custom_model_deployment(customModelDeploymentIdentifier="live")
    bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier="live")


def _throughput(account: Account, model: str) -> None:
    bedrock = account.bedrock
    for name, term in (("hourly", {}), ("monthly", {"commitmentDuration": "OneMonth"})):
        bedrock.create_provisioned_model_throughput(
            provisionedModelName=name, modelId=model, modelUnits=1, **term
        )
    account.advance(hours)
    bedrock.update_provisioned_model_throughput(provisionedModelId="hourly", desiredModelId=model)
    bedrock.get_provisioned_model_throughput(provisionedModelId="hourly")
    bedrock.list_provisioned_model_throughputs()
    account.advance(hours)
    bedrock.delete_provisioned_model_throughput(provisionedModelId="hourly")


def _imports(account: Account) -> None:
    bedrock = account.bedrock
    bedrock.create_model_import_job(
        jobName="import",
        importedModelName="mine",
        roleArn=account.role_arn,
        modelDataSource={"s3DataSource": {"s3Uri": "s3://training-data/model"}},
    )
    bedrock.get_model_import_job(jobIdentifier="import")
    account.advance(hours)
    bedrock.get_model_import_job(jobIdentifier="import")
    bedrock.list_model_import_jobs()
    bedrock.get_imported_model(modelIdentifier="mine")
    bedrock.list_imported_models()
    bedrock.delete_imported_model(modelIdentifier="mine")


def implemented() -> set[str]:
    """The operations of the control plane that some area answers."""
    model = botocore.session.get_session().get_service_model("bedrock")
    areas = [area(World()) for area in AREAS]
    return {
        name
        for name in model.operation_names
        if any(area.service == "bedrock" and area.operation(name) for area in areas)
    }


def test_every_answer_is_what_the_model_says(account: Account, wire: Wire) -> None:
    """Members, types, patterns, enums, bounds and status codes of all operations are those of the model."""
    every_operation(account)

    found = {
        (operation, *fault.split(": ", 1))
        for operation, answers in wire.bodies.items()
        for status, body, model in answers
        for fault in [
            *faults(model.output_shape, body),
            *([] if status == model.http["responseCode"] else [f"status: is {status}"]),
        ]
    }
    assert {(operation, member) for operation, member, _ in found} == known("emulator and model"), found


def test_the_contract_covers_every_operation(account: Account, wire: Wire) -> None:
    """An operation that is implemented has been looked at by the contract."""
    every_operation(account)

    assert implemented() - set(elsewhere) == set(wire.bodies)


def test_an_operation_that_is_not_implemented_says_so(account: Account) -> None:
    """The SDK gets a ValidationException that names the operation, and does not try again."""
    with pytest.raises(
        account.bedrock.exceptions.ValidationException,
        match=matching("emulator/does-not-implement-listguardrails"),
    ):
        account.bedrock.list_guardrails()

    assert account.calls("ListGuardrails") == 1


def absent(account: Account) -> dict[str, Callable[[], Any]]:
    """Calls that name something that does not exist."""
    bedrock = account.bedrock
    return {
        "GetModelCustomizationJob": lambda: bedrock.get_model_customization_job(jobIdentifier="none"),
        "StopModelCustomizationJob": lambda: bedrock.stop_model_customization_job(jobIdentifier="none"),
        "GetCustomModel": lambda: bedrock.get_custom_model(modelIdentifier="none"),
        "DeleteCustomModel": lambda: bedrock.delete_custom_model(modelIdentifier="none"),
        "GetFoundationModel": lambda: bedrock.get_foundation_model(modelIdentifier="amazon.none-v1:0"),
        "GetImportedModel": lambda: bedrock.get_imported_model(modelIdentifier="none"),
        "GetModelImportJob": lambda: bedrock.get_model_import_job(jobIdentifier="none"),
        "GetInferenceProfile": lambda: bedrock.get_inference_profile(inferenceProfileIdentifier="none"),
        "GetCustomModelDeployment": lambda: bedrock.get_custom_model_deployment(
            customModelDeploymentIdentifier="none"
        ),
        "GetProvisionedModelThroughput": lambda: bedrock.get_provisioned_model_throughput(
            provisionedModelId="none"
        ),
    }


def test_what_does_not_exist_is_a_404(account: Account, wire: Wire) -> None:
    """Every Get, Stop and Delete of something unknown is a ResourceNotFoundException with status 404."""
    calls = absent(account)
    for call in calls.values():
        with pytest.raises(account.bedrock.exceptions.ResourceNotFoundException, match="not found"):
            call()

    assert {name: wire.bodies[name][0][0] for name in calls} == dict.fromkeys(calls, 404)


def test_the_names_of_methods_are_operations(account: Account) -> None:
    """A public method of an area is an operation of its service, or one of the frame's own."""
    frame = {"settle", "snapshot", "operation"}
    for area in [make(World()) for make in AREAS]:
        model = botocore.session.get_session().get_service_model(area.service)
        operations = {xform_name(name) for name in model.operation_names}
        methods = {
            name for name, value in vars(type(area)).items() if callable(value) and not name.startswith("_")
        }

        assert methods - frame <= operations
