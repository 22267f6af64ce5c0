"""Models and what is made of them: foundation models, deployments, provisioned throughput, copies, tags."""

from __future__ import annotations

from typing import Any

import pytest

from tests.messages import matching

from .emulator_account import Account, hours, nova_lite

minutes = 60


def models(account: Account, region: str = "us-east-1", **asked: str) -> dict[str, dict[str, Any]]:
    """The listed foundation models by id."""
    found = account.client(region=region).list_foundation_models(**asked)["modelSummaries"]
    return {model["modelId"]: model for model in found}


def test_customizable_models_are_listed_as_recorded(account: Account) -> None:
    """The suffixed id is customizable and only provisionable; the plain one is neither."""
    listed = models(account)

    assert listed[nova_lite]["inferenceTypesSupported"] == ["PROVISIONED"]
    assert listed[nova_lite]["customizationsSupported"] == ["FINE_TUNING", "DISTILLATION"]
    assert listed["amazon.nova-lite-v1:0"]["customizationsSupported"] == []
    assert "ON_DEMAND" in listed["amazon.nova-lite-v1:0"]["inferenceTypesSupported"]
    assert nova_lite not in models(account, "us-west-2")


def test_foundation_models_are_filtered(account: Account) -> None:
    """By customization, inference type, provider and output."""
    assert all(
        "DISTILLATION" in m["customizationsSupported"]
        for m in models(account, byCustomizationType="DISTILLATION").values()
    )
    assert set(models(account, byInferenceType="PROVISIONED")) < set(models(account))
    assert {m["providerName"] for m in models(account, byProvider="amazon").values()} == {"Amazon"}
    assert {"IMAGE"} == {
        m for one in models(account, byOutputModality="IMAGE").values() for m in one["outputModalities"]
    }


@pytest.fixture
def model(account: Account) -> str:
    """The ARN of a custom model."""
    return account.trained()


def deployed(account: Account, model: str, name: str = "live") -> str:
    """The ARN of a new deployment."""
    arn: str = account.bedrock.create_custom_model_deployment(modelDeploymentName=name, modelArn=model)[
        "customModelDeploymentArn"
    ]
    return arn


def deployment(account: Account, name: str = "live") -> dict[str, Any]:
    """What Get answers."""
    found: dict[str, Any] = account.bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=name)
    return found


def test_a_deployment_becomes_active_after_eight_minutes(account: Account, model: str) -> None:
    """Creating until then; List and Get call its name differently."""
    arn = deployed(account, model)
    account.advance(7 * minutes)
    creating = deployment(account)["status"]
    account.advance(1 * minutes)
    active = deployment(account, arn)
    listed = account.bedrock.list_custom_model_deployments(statusEquals="Active")

    assert (creating, active["status"]) == ("Creating", "Active")
    assert active["modelDeploymentName"] == "live"
    assert [one["customModelDeploymentName"] for one in listed["modelDeploymentSummaries"]] == ["live"]


def test_a_deployment_cannot_be_deleted_while_it_is_created(account: Account, model: str) -> None:
    """It is in a mutating state; later it is gone, and its model is not."""
    deployed(account, model)
    delete = account.bedrock.delete_custom_model_deployment
    with pytest.raises(
        account.bedrock.exceptions.ValidationException,
        match=matching("emulator/custom-model-deployment-is-in-mutating"),
    ):
        delete(customModelDeploymentIdentifier="live")
    account.advance(10 * minutes)
    delete(customModelDeploymentIdentifier="live")

    with pytest.raises(account.bedrock.exceptions.ResourceNotFoundException, match="not found"):
        deployment(account)
    assert account.bedrock.get_custom_model(modelIdentifier=model)["modelStatus"] == "Active"


def test_an_update_changes_the_model_without_a_break(account: Account, model: str) -> None:
    """The old model answers until the update is complete."""
    other = account.trained("other")
    deployed(account, model)
    account.advance(10 * minutes)
    account.bedrock.update_custom_model_deployment(customModelDeploymentIdentifier="live", modelArn=other)
    during = deployment(account)
    account.advance(10 * minutes)
    after = deployment(account)

    assert (during["status"], during["modelArn"], during["updateDetails"]["updateStatus"]) == (
        "Active",
        model,
        "Updating",
    )
    assert (after["modelArn"], after["updateDetails"]["updateStatus"]) == (other, "UpdateCompleted")


def test_deployments_have_quotas(account: Account, model: str) -> None:
    """Two being created at once, ten in all, each name once."""
    quota = account.bedrock.exceptions.ServiceQuotaExceededException
    deployed(account, model, "d-0")
    with pytest.raises(account.bedrock.exceptions.ValidationException, match="in use"):
        deployed(account, model, "d-0")
    deployed(account, model, "d-1")
    with pytest.raises(quota, match="creating status"):
        deployed(account, model, "d-2")
    for number in range(2, 10):
        account.advance(9 * minutes)
        deployed(account, model, f"d-{number}")
    account.advance(9 * minutes)
    with pytest.raises(quota, match="At most 10"):
        deployed(account, model, "d-10")

    assert len(account.control("state")["deployments"]) == 10


def test_a_model_in_use_cannot_be_deleted(account: Account, model: str) -> None:
    """Neither under a deployment nor under provisioned throughput."""
    deployed(account, model)
    with pytest.raises(
        account.bedrock.exceptions.ConflictException, match=matching("emulator/used-by-deployment")
    ):
        account.bedrock.delete_custom_model(modelIdentifier=model)
    account.advance(10 * minutes)
    account.bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier="live")
    account.bedrock.create_provisioned_model_throughput(
        provisionedModelName="paid", modelId=model, modelUnits=1
    )

    with pytest.raises(
        account.bedrock.exceptions.ConflictException, match=matching("emulator/used-by-provisioned")
    ):
        account.bedrock.delete_custom_model(modelIdentifier=model)


def test_some_models_have_only_one_way_to_be_deployed(account: Account) -> None:
    """Llama 3.3 has no provisioned throughput, Nova Canvas no on-demand deployment."""
    west = account.client(region="us-west-2")
    for client, name, base in (
        (west, "llama", "meta.llama3-3-70b-instruct-v1:0:128k"),
        (account.bedrock, "canvas", "amazon.nova-canvas-v1:0"),
    ):
        client.create_model_customization_job(**account.job_request(name, baseModelIdentifier=base))
    account.advance(3 * hours)

    with pytest.raises(west.exceptions.ValidationException, match="not supported"):
        west.create_provisioned_model_throughput(
            provisionedModelName="paid", modelId="llama-model", modelUnits=1
        )
    canvas = account.bedrock.get_custom_model(modelIdentifier="canvas-model")["modelArn"]
    with pytest.raises(account.bedrock.exceptions.ValidationException, match="not supported"):
        deployed(account, canvas)


def bought(account: Account, model: str, name: str = "paid", **more: Any) -> None:
    """Throughput has been bought and is in service."""
    account.bedrock.create_provisioned_model_throughput(
        provisionedModelName=name, modelId=model, modelUnits=1, **more
    )
    account.advance(hours)


def throughput(account: Account, name: str = "paid") -> dict[str, Any]:
    """What Get answers."""
    found: dict[str, Any] = account.bedrock.get_provisioned_model_throughput(provisionedModelId=name)
    return found


def test_throughput_without_commitment_can_be_deleted(account: Account, model: str) -> None:
    """Creating, InService, gone."""
    account.bedrock.create_provisioned_model_throughput(
        provisionedModelName="paid", modelId=model, modelUnits=2
    )
    creating = throughput(account)["status"]
    account.advance(hours)
    in_service = throughput(account)
    account.bedrock.delete_provisioned_model_throughput(provisionedModelId="paid")

    assert (creating, in_service["status"], in_service["modelUnits"]) == ("Creating", "InService", 2)
    with pytest.raises(account.bedrock.exceptions.ResourceNotFoundException, match="not found"):
        throughput(account)


def test_a_commitment_holds_until_its_end(account: Account, model: str) -> None:
    """For a month it cannot be deleted; afterwards it can."""
    bought(account, model, commitmentDuration="OneMonth")
    with pytest.raises(account.bedrock.exceptions.ConflictException, match="commitment"):
        account.bedrock.delete_provisioned_model_throughput(provisionedModelId="paid")
    account.advance(30 * 24 * hours)
    account.bedrock.delete_provisioned_model_throughput(provisionedModelId="paid")

    assert account.control("state")["provisioned"] == []


def test_throughput_takes_a_sibling_model(account: Account, model: str) -> None:
    """Updating, then InService with the other model; another base is refused."""
    sibling = account.trained("sibling")
    stranger = account.trained("stranger", baseModelIdentifier="amazon.nova-micro-v1:0:128k")
    bought(account, model)
    update = account.bedrock.update_provisioned_model_throughput
    with pytest.raises(account.bedrock.exceptions.ValidationException, match="sibling"):
        update(provisionedModelId="paid", desiredModelId=stranger)
    update(provisionedModelId="paid", desiredModelId=sibling, desiredProvisionedModelName="renamed")
    during = throughput(account, "renamed")
    account.advance(hours)
    after = throughput(account, "renamed")

    assert (during["status"], during["modelArn"], during["desiredModelArn"]) == ("Updating", model, sibling)
    assert (after["status"], after["modelArn"]) == ("InService", sibling)


def test_a_copy_appears_in_the_region_that_asked(account: Account, model: str) -> None:
    """Under its new name and with its tags, once the job is complete."""
    west = account.client(region="us-west-2")
    job = west.create_model_copy_job(
        sourceModelArn=model, targetModelName="copy", targetModelTags=[{"key": "a", "value": "b"}]
    )["jobArn"]
    before = west.get_model_copy_job(jobArn=job)
    account.advance(hours)
    after = west.get_model_copy_job(jobArn=job)

    assert (before["status"], after["status"]) == ("InProgress", "Completed")
    assert west.get_custom_model(modelIdentifier="copy")["modelArn"] == before["targetModelArn"]
    assert west.list_tags_for_resource(resourceARN=after["targetModelArn"])["tags"] == [
        {"key": "a", "value": "b"}
    ]


def test_a_model_that_is_brought_along_is_created_first(account: Account) -> None:
    """Creating, then Active, of type IMPORTED."""
    arn = account.bedrock.create_custom_model(
        modelName="brought", modelSourceConfig={"s3DataSource": {"s3Uri": "s3://escrow/model"}}
    )["modelArn"]
    first = account.bedrock.get_custom_model(modelIdentifier=arn)["modelStatus"]
    account.advance(hours)
    listed = account.bedrock.list_custom_models(modelStatus="Active")["modelSummaries"]

    assert first == "Creating"
    assert [(one["modelArn"], one["customizationType"]) for one in listed] == [(arn, "IMPORTED")]


def test_tags_are_set_added_and_removed(account: Account) -> None:
    """Those of the job and those of its model are different ones."""
    arn = account.create(jobTags=[{"key": "a", "value": "1"}], customModelTags=[{"key": "b", "value": "2"}])
    account.advance(3 * hours)
    model = account.job(arn)["outputModelArn"]
    bedrock = account.bedrock

    def tags(of: str) -> dict[str, str]:
        return {one["key"]: one["value"] for one in bedrock.list_tags_for_resource(resourceARN=of)["tags"]}

    assert (tags(arn), tags(model)) == ({"a": "1"}, {"b": "2"})
    bedrock.tag_resource(resourceARN=arn, tags=[{"key": "a", "value": "3"}, {"key": "c", "value": ""}])
    bedrock.untag_resource(resourceARN=arn, tagKeys=["b", "c"])
    assert tags(arn) == {"a": "3"}
    many = [{"key": str(number), "value": ""} for number in range(50)]
    with pytest.raises(bedrock.exceptions.TooManyTagsException, match="50"):
        bedrock.tag_resource(resourceARN=arn, tags=many)


def test_a_key_is_told_by_its_arn(account: Account) -> None:
    """Whether the job named it by ARN, id or alias."""
    key_id = "082cd05f-96d1-49f6-a5ac-32093d2cfe38"
    found = [
        account.job(account.create(f"job-{number}", customModelKmsKeyId=key))["outputModelKmsKeyArn"]
        for number, key in enumerate(
            (f"arn:aws:kms:us-east-1:123456789012:key/{key_id}", key_id, "alias/mine")
        )
    ]

    assert found[0] == found[1] == f"arn:aws:kms:us-east-1:123456789012:key/{key_id}"
    assert found[2].startswith("arn:aws:kms:us-east-1:123456789012:key/")
