"""On-demand deployments of custom models."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from polytune.emulator.bedrock.call import ApiCall, Area, Members, invalid, not_found, over_quota
from polytune.emulator.bedrock.requests import check_new_name
from polytune.emulator.bedrock.resources import CustomModel, Deployment
from polytune.emulator.bedrock.selection import Listing
from polytune.emulator.bedrock.state import new_id
from polytune.emulator.bedrock.world import World

creating_time = timedelta(minutes=8)
"""From Creating to Active, as observed on real deployments."""
updating_time = timedelta(minutes=8)
"""Assumed equal to `creating_time`; no observation was found."""
most_creating = 2
"""Quota L-C02E1E99, as seen in a real account; adjustable."""
most_deployments = 10
"""As seen in a real account; adjustable."""
mutating = "Custom model deployment is in a mutating state"


class Deployments(Area):
    """The account's deployments."""

    def __init__(self, world: World) -> None:
        self.world = world

    @property
    def _table(self) -> dict[str, Deployment]:
        return self.world.state.table(Deployment)

    def snapshot(self, now: datetime) -> dict[str, Any]:
        return {
            "deployments": [
                {"name": one.name, "arn": one.arn, "status": one.status(now), "model": one.serving(now)}
                for one in self._table.values()
            ]
        }

    def create_custom_model_deployment(self, call: ApiCall) -> Members:
        """The deployment exists in status Creating."""
        here = [one for one in self._table.values() if one.region == call.region]
        model = self._deployable(call)
        check_new_name(call.text("modelDeploymentName"), {one.name for one in here}, "deployment name")
        if len(here) >= most_deployments:
            raise over_quota(f"At most {most_deployments} custom model deployments are allowed.")
        if sum(one.status(call.now) == "Creating" for one in here) >= most_creating:
            raise over_quota(f"At most {most_creating} custom models may be in a creating status.")
        arn = self.world.arn(call.region, f"custom-model-deployment/{new_id()}")
        deployment = Deployment(
            arn=arn,
            name=call.text("modelDeploymentName"),
            region=call.region,
            created=call.now,
            model_arn=model.arn,
            ready_after=creating_time,
            description=call.members.get("description"),
        )
        self.world.state.add(arn, deployment, call.members.get("tags"))
        return {"customModelDeploymentArn": arn}

    def get_custom_model_deployment(self, call: ApiCall) -> Members:
        """The deployment with this name or ARN."""
        found = self._find(call)
        # Get sends updateDetails only after an update: a new deployment has none.
        update = None
        if found.next_model_arn is not None:
            status = "Updating" if found.updating(call.now) else "UpdateCompleted"
            update = {"modelArn": found.next_model_arn, "updateStatus": status}
        return {
            "customModelDeploymentArn": found.arn,
            "modelDeploymentName": found.name,
            "modelArn": found.serving(call.now),
            "createdAt": found.created,
            "status": found.status(call.now),
            "description": found.description,
            "updateDetails": update,
            "lastUpdatedAt": changed(found, call.now),
        }

    def update_custom_model_deployment(self, call: ApiCall) -> Members:
        """The deployment is switching to another model and keeps answering with the old one meanwhile."""
        found, model = self._find(call), self._deployable(call)
        self._check_settled(found, call.now)
        # Keep the model that answers now before the fields of the previous update are overwritten.
        found.model_arn = found.serving(call.now)
        found.updated, found.update_after = call.now, updating_time
        found.next_model_arn = model.arn
        return {"customModelDeploymentArn": found.arn}

    def delete_custom_model_deployment(self, call: ApiCall) -> Members:
        """The deployment no longer exists; its model does."""
        found = self._find(call)
        self._check_settled(found, call.now)
        self.world.state.remove(found.arn, Deployment)
        return {}

    def list_custom_model_deployments(self, call: ApiCall) -> Members:
        """The region's deployments. List returns `customModelDeploymentName`, Get `modelDeploymentName`."""
        listing = Listing[Deployment](
            member="modelDeploymentSummaries",
            name=lambda one: one.name,
            created=lambda one: one.created,
            arn=lambda one: one.arn,
            summary=lambda one: {
                "customModelDeploymentArn": one.arn,
                "customModelDeploymentName": one.name,
                "modelArn": one.serving(call.now),
                "createdAt": one.created,
                "status": one.status(call.now),
                "lastUpdatedAt": changed(one, call.now),
            },
            equal={"statusEquals": "status", "modelArnEquals": "modelArn"},
        )
        return listing.page(call, [one for one in self._table.values() if one.region == call.region])

    def _find(self, call: ApiCall) -> Deployment:
        wanted = call.text("customModelDeploymentIdentifier")
        for one in self._table.values():
            if one.region == call.region and wanted in (one.arn, one.name):
                return one
        raise not_found("The provided custom model deployment was not found.")

    def _deployable(self, call: ApiCall) -> CustomModel:
        model = self.world.state.table(CustomModel).get(call.text("modelArn"))
        if model is None or model.region != call.region:
            raise not_found("The provided model was not found.")
        if model.status(call.now) != "Active":
            raise invalid("The provided model is not in an active state.")
        # A model made by CreateCustomModel has no known base, so its deployment cannot be checked.
        if model.base is not None and "on_demand" not in model.base.offering.deployments:
            raise invalid(f"On-demand deployment is not supported for models based on {model.base.model_id}.")
        return model

    def _check_settled(self, found: Deployment, now: datetime) -> None:
        if found.status(now) == "Creating" or found.updating(now):
            raise invalid(mutating)


def changed(found: Deployment, now: datetime) -> datetime:
    """When the deployment last changed."""
    if found.updated is not None:
        return found.updated if found.updating(now) else found.updated + found.update_after
    ready = found.created + found.ready_after
    return ready if now >= ready else found.created
