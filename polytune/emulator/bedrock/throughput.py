"""Provisioned throughput: capacity that is billed by the hour until it is deleted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from polytune.emulator.bedrock.call import ApiCall, Area, Members, conflict, invalid, not_found
from polytune.emulator.bedrock.catalogue import find_foundation
from polytune.emulator.bedrock.requests import check_new_name
from polytune.emulator.bedrock.resources import CustomModel, ProvisionedThroughput
from polytune.emulator.bedrock.selection import Listing
from polytune.emulator.bedrock.state import new_id
from polytune.emulator.bedrock.world import World, foundation_arn

creating_time = timedelta(minutes=15)
updating_time = timedelta(minutes=15)
"""Both assumed; no observation was found."""
commitment_days = {"OneMonth": 30, "SixMonths": 180}


class Throughput(Area):
    """The account's provisioned throughputs."""

    def __init__(self, world: World) -> None:
        self.world = world

    @property
    def _table(self) -> dict[str, ProvisionedThroughput]:
        return self.world.state.table(ProvisionedThroughput)

    def snapshot(self, now: datetime) -> dict[str, Any]:
        return {
            "provisioned": [
                {"name": one.name, "arn": one.arn, "status": one.status(now), "units": one.units}
                for one in self._table.values()
            ]
        }

    def create_provisioned_model_throughput(self, call: ApiCall) -> Members:
        """The throughput exists in status Creating."""
        taken = {one.name for one in self._table.values() if one.region == call.region}
        check_new_name(call.text("provisionedModelName"), taken, "provisioned model name")
        model_arn, base_arn = self._model(call, call.text("modelId"))
        commitment = call.members.get("commitmentDuration")
        arn = self.world.arn(call.region, f"provisioned-model/{new_id()}")
        bought = ProvisionedThroughput(
            arn=arn,
            name=call.text("provisionedModelName"),
            region=call.region,
            created=call.now,
            model_arn=model_arn,
            foundation_arn=base_arn,
            units=call.members["modelUnits"],
            ready_after=creating_time,
            commitment=commitment,
            expires=call.now + timedelta(days=commitment_days[commitment]) if commitment else None,
        )
        self.world.state.add(arn, bought, call.members.get("tags"))
        return {"provisionedModelArn": arn}

    def get_provisioned_model_throughput(self, call: ApiCall) -> Members:
        """The throughput with this name or ARN."""
        return described(self._find(call), call.now)

    def update_provisioned_model_throughput(self, call: ApiCall) -> Members:
        """The throughput has another name, or is switching to another model, or both."""
        found = self._find(call)
        if found.status(call.now) != "InService":
            raise invalid(f"The provisioned model is {found.status(call.now)}; it must be InService.")
        renamed, wanted = call.text("desiredProvisionedModelName"), call.text("desiredModelId")
        if wanted:
            model_arn, base_arn = self._model(call, wanted)
            # AWS allows the base model and its other custom models only, and only if the throughput was
            # bought for a custom model.
            if ":custom-model/" not in found.serving(call.now) or base_arn != found.foundation_arn:
                raise invalid("The desired model must be a custom model's base model or a sibling of it.")
            found.model_arn = found.serving(call.now)
            found.updated, found.update_after = call.now, updating_time
            found.next_model_arn = model_arn
        if renamed and renamed != found.name:
            taken = {one.name for one in self._table.values() if one.region == call.region}
            check_new_name(renamed, taken, "provisioned model name")
            found.name = renamed
        return {}

    def delete_provisioned_model_throughput(self, call: ApiCall) -> Members:
        """The throughput no longer exists. A commitment cannot be deleted before its end."""
        found = self._find(call)
        if found.expires is not None and call.now < found.expires:
            raise conflict("A provisioned model with a commitment cannot be deleted before its term ends.")
        if found.status(call.now) in ("Creating", "Updating"):
            raise conflict(f"The provisioned model is {found.status(call.now)}.")
        self.world.state.remove(found.arn, ProvisionedThroughput)
        return {}

    def list_provisioned_model_throughputs(self, call: ApiCall) -> Members:
        """The region's throughputs."""
        listing = Listing[ProvisionedThroughput](
            member="provisionedModelSummaries",
            name=lambda one: one.name,
            created=lambda one: one.created,
            arn=lambda one: one.arn,
            summary=lambda one: described(one, call.now),
            equal={"statusEquals": "status", "modelArnEquals": "modelArn"},
        )
        return listing.page(call, [one for one in self._table.values() if one.region == call.region])

    def _find(self, call: ApiCall) -> ProvisionedThroughput:
        wanted = call.text("provisionedModelId")
        for one in self._table.values():
            if one.region == call.region and wanted in (one.arn, one.name):
                return one
        raise not_found("The provided provisioned model was not found.")

    def _model(self, call: ApiCall, wanted: str) -> tuple[str, str]:
        """The ARNs of the named model and of its foundation model. Raises EmulatedError."""
        for model in self.world.state.table(CustomModel).values():
            if model.region == call.region and wanted in (model.arn, model.name):
                if model.status(call.now) != "Active":
                    raise invalid("The provided model is not in an active state.")
                # A model made by CreateCustomModel has no known foundation model: use its own ARN for both.
                if model.base is None:
                    return model.arn, model.arn
                if "provisioned" not in model.base.offering.deployments:
                    raise invalid(f"Provisioned throughput is not supported for {model.base.model_id}.")
                return model.arn, foundation_arn(call.region, model.base.model_id)
        base = find_foundation(wanted, call.region)
        if base is None:
            raise not_found("The provided model identifier was not found.")
        if "PROVISIONED" not in base.inference_types:
            raise invalid(f"Provisioned throughput is not supported for {base.model_id}.")
        arn = foundation_arn(call.region, base.model_id)
        return arn, arn


def described(found: ProvisionedThroughput, now: datetime) -> Members:
    """The members of a throughput in Get and List."""
    return {
        "modelUnits": found.units,
        "desiredModelUnits": found.units,
        "provisionedModelName": found.name,
        "provisionedModelArn": found.arn,
        "modelArn": found.serving(now),
        "desiredModelArn": found.next_model_arn or found.model_arn,
        "foundationModelArn": found.foundation_arn,
        "status": found.status(now),
        "creationTime": found.created,
        "lastModifiedTime": found.changed(now),
        "commitmentDuration": found.commitment,
        "commitmentExpirationTime": found.expires,
    }
