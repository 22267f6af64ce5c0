"""Foundation models of the catalogue, custom models, and imported models."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from polytune.emulator.bedrock.call import ApiCall, Area, Members, conflict, not_found
from polytune.emulator.bedrock.catalogue import Foundation, find_foundation, foundations
from polytune.emulator.bedrock.requests import check_new_name, check_role
from polytune.emulator.bedrock.resources import CustomModel, Deployment, ImportedModel, ProvisionedThroughput
from polytune.emulator.bedrock.selection import Listing
from polytune.emulator.bedrock.state import new_id
from polytune.emulator.bedrock.world import World, foundation_arn

creating_time = timedelta(minutes=10)
"""From Creating to Active for a model made by CreateCustomModel. Assumed; no observation was found."""


class ModelsArea(Area):
    """Foundation, custom and imported models."""

    def __init__(self, world: World) -> None:
        self.world = world

    @property
    def _custom(self) -> dict[str, CustomModel]:
        return self.world.state.table(CustomModel)

    def snapshot(self, now: datetime) -> dict[str, Any]:
        custom = [
            {"name": model.name, "arn": model.arn, "status": model.status(now)}
            for model in self._custom.values()
        ]
        imported = [
            {"name": model.name, "arn": model.arn} for model in self.world.state.table(ImportedModel).values()
        ]
        return {"models": custom, "imported_models": imported}

    def list_foundation_models(self, call: ApiCall) -> Members:
        """The region's foundation models. A customizable variant is listed as a separate model."""
        asked = call.members
        # No pages: the real ListFoundationModels returns all models at once.
        shown = [
            foundation_details(each, call.region) for each in foundations().values() if each.here(call.region)
        ]
        filters: dict[str, Callable[[Members, str], bool]] = {
            "byProvider": lambda one, wanted: one["providerName"].lower() == wanted.lower(),
            "byCustomizationType": lambda one, wanted: wanted in one["customizationsSupported"],
            "byOutputModality": lambda one, wanted: wanted in one["outputModalities"],
            "byInferenceType": lambda one, wanted: wanted in one["inferenceTypesSupported"],
        }
        for member, passes in filters.items():
            if member in asked:
                shown = [one for one in shown if passes(one, asked[member])]
        return {"modelSummaries": shown}

    def get_foundation_model(self, call: ApiCall) -> Members:
        """The model with this id or ARN."""
        found = find_foundation(call.text("modelIdentifier"), call.region)
        if found is None:
            raise not_found("The provided model identifier was not found.")
        return {"modelDetails": foundation_details(found, call.region)}

    def create_custom_model(self, call: ApiCall) -> Members:
        """A model trained elsewhere exists in status Creating. The content of its bucket is not checked."""
        if "roleArn" in call.members:
            check_role(self.world, call.text("roleArn"))
        check_new_name(call.text("modelName"), self._names(call.region), "custom model name")
        arn = self.world.arn(call.region, f"custom-model/imported/{new_id()}")
        model = CustomModel(
            arn=arn,
            name=call.text("modelName"),
            region=call.region,
            created=call.now,
            # Which model the weights come from is in the bucket, which is not read.
            base=None,
            base_arn="",
            customization_type="IMPORTED",
            active_after=creating_time,
            details={"modelKmsKeyArn": call.members.get("modelKmsKeyArn")},
        )
        self.world.state.add(arn, model, call.members.get("modelTags"))
        return {"modelArn": arn}

    def get_custom_model(self, call: ApiCall) -> Members:
        """The model by name or ARN."""
        model = self._find_custom(call)
        return model.details | {
            "modelArn": model.arn,
            "modelName": model.name,
            "baseModelArn": model.base_arn or None,
            "customizationType": model.customization_type,
            "creationTime": model.created,
            "modelStatus": model.status(call.now),
            "failureMessage": model.failure or None,
        }

    def list_custom_models(self, call: ApiCall) -> Members:
        """The region's custom models."""
        # Models shared by other accounts do not exist here, so a request for those not owned finds none.
        asked = call.members
        models = [model for model in self._custom.values() if model.region == call.region]
        if asked.get("isOwned") is False:
            models = []
        if "foundationModelArnEquals" in asked:
            wanted = asked["foundationModelArnEquals"]
            models = [
                one for one in models if one.base and foundation_arn(call.region, one.base.model_id) == wanted
            ]
        listing = Listing[CustomModel](
            member="modelSummaries",
            name=lambda model: model.name,
            created=lambda model: model.created,
            arn=lambda model: model.arn,
            summary=lambda model: custom_summary(model, call),
            equal={"baseModelArnEquals": "baseModelArn", "modelStatus": "modelStatus"},
        )
        return listing.page(call, models)

    def delete_custom_model(self, call: ApiCall) -> Members:
        """The model no longer exists. Raises EmulatedError if it is in use."""
        model = self._find_custom(call)
        for deployment in self.world.state.table(Deployment).values():
            # The target of an unfinished update counts as in use, too.
            if model.arn in (deployment.serving(call.now), deployment.next_model_arn):
                raise conflict(f"The model is used by the deployment {deployment.arn}.")
        for throughput in self.world.state.table(ProvisionedThroughput).values():
            if model.arn in (throughput.serving(call.now), throughput.next_model_arn):
                raise conflict(f"The model is used by the provisioned throughput {throughput.arn}.")
        self.world.state.remove(model.arn, CustomModel)
        return {}

    def get_imported_model(self, call: ApiCall) -> Members:
        """The model by name or ARN."""
        model = self._find_imported(call)
        return {
            "modelArn": model.arn,
            "modelName": model.name,
            "jobName": model.job_name,
            "jobArn": model.job_arn,
            "modelDataSource": model.source,
            "creationTime": model.created,
            "modelArchitecture": model.architecture,
            "modelKmsKeyArn": model.kms_key_arn,
            "instructSupported": model.instruct,
            "customModelUnits": {"customModelUnitsPerModelCopy": 1, "customModelUnitsVersion": "v1.0"},
        }

    def list_imported_models(self, call: ApiCall) -> Members:
        """The region's imported models."""
        models = self.world.state.table(ImportedModel).values()
        return imported_listing.page(call, [model for model in models if model.region == call.region])

    def delete_imported_model(self, call: ApiCall) -> Members:
        """The model no longer exists."""
        self.world.state.remove(self._find_imported(call).arn, ImportedModel)
        return {}

    def _names(self, region: str) -> set[str]:
        return {model.name for model in self._custom.values() if model.region == region}

    def _find_custom(self, call: ApiCall) -> CustomModel:
        wanted = call.text("modelIdentifier")
        for model in self._custom.values():
            if model.region == call.region and wanted in (model.arn, model.name):
                return model
        raise not_found("The provided model identifier was not found.")

    def _find_imported(self, call: ApiCall) -> ImportedModel:
        wanted = call.text("modelIdentifier")
        for model in self.world.state.table(ImportedModel).values():
            if model.region == call.region and wanted in (model.arn, model.name):
                return model
        raise not_found("The provided model identifier was not found.")


imported_listing = Listing[ImportedModel](
    member="modelSummaries",
    name=lambda model: model.name,
    created=lambda model: model.created,
    arn=lambda model: model.arn,
    summary=lambda model: {
        "modelArn": model.arn,
        "modelName": model.name,
        "creationTime": model.created,
        "instructSupported": model.instruct,
        "modelArchitecture": model.architecture,
    },
    equal={},
)


def custom_summary(model: CustomModel, call: ApiCall) -> Members:
    """The members of a model in ListCustomModels."""
    return {
        "modelArn": model.arn,
        "modelName": model.name,
        "creationTime": model.created,
        "baseModelArn": model.base_arn or model.arn,
        "baseModelName": model.base.model_id.partition(":")[0] if model.base is not None else brought_along,
        "customizationType": model.customization_type,
        "ownerAccountId": call.account,
        "modelStatus": model.status(call.now),
    }


def foundation_details(model: Foundation, region: str) -> Members:
    """The members of a foundation model in Get and List."""
    return {
        "modelArn": foundation_arn(region, model.model_id),
        "modelId": model.model_id,
        "modelName": model.title,
        "providerName": model.provider,
        "inputModalities": list(model.input_modalities),
        "outputModalities": list(model.output_modalities),
        "responseStreamingSupported": "streaming" in model.entry.capabilities,
        "customizationsSupported": [each for each in model.customizations if each in listed_customizations],
        "inferenceTypesSupported": [each for each in model.inference_types if each in listed_inference_types],
        "modelLifecycle": {"status": "ACTIVE"},
    }


listed_customizations = ("FINE_TUNING", "DISTILLATION", "CONTINUED_PRE_TRAINING")
"""Reinforcement fine-tuning cannot be discovered, because the API's enum lacks it."""
brought_along = "amazon.nova"
"""The `baseModelName` of models made by CreateCustomModel, in the format that the API requires."""
listed_inference_types = ("ON_DEMAND", "PROVISIONED")
