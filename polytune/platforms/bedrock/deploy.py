"""Deploys a model of the account from the command line, under a stable name. Idempotent.

The name defaults to the model's own. An existing deployment with that name is adopted if it serves the model;
an on-demand deployment that serves another model can be switched to this one.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from polytune.aws.naming import longest_name, tags_of
from polytune.base_models.interface import Prices
from polytune.data.prices import prices_of
from polytune.errors import UsageError
from polytune.platforms.bedrock import requests as requests
from polytune.platforms.bedrock.models import entry_of
from polytune.platforms.bedrock.requests import platform_name
from polytune.platforms.bedrock.resources import (
    Inventory,
    Kind,
    deployment,
    kind_named,
    polytunes,
    provisioned,
)
from polytune.platforms.interface import Deploying, DeploymentKind, Label
from polytune.platforms.management import DeploymentRequest, ManagedJob, ManagedModel
from polytune.settings import Settings

by_hand = "by-hand"
"""The step tag of deployments that were not created by a run."""
hours_per_month = 730
name_pattern = re.compile(rf"([0-9a-zA-Z][_-]?){{1,{longest_name}}}")


@dataclass(frozen=True, kw_only=True)
class ModelDeployment:
    """A requested deployment, and the model found for it."""

    request: DeploymentRequest
    model: ManagedModel

    @property
    def kind(self) -> DeploymentKind:
        """On demand (billed by the token) or provisioned (billed by the hour)."""
        return self.request.kind

    @property
    def name(self) -> str:
        """The stable name, limited to the characters that deployments accept."""
        plain = re.sub(r"[^0-9a-zA-Z]*([-_])[^0-9a-zA-Z]*|[^0-9a-zA-Z]+", "-", self.model.name)
        return self.request.name or plain[:longest_name].strip("-")

    def problem(self) -> str:
        """Why it cannot be deployed; '' when it can."""
        request = self.request
        if self.model.kind == "imported":
            return f"{self.model.name} is an imported model, which answers without a deployment"
        if self.model.status not in ("", "Active"):
            return f"{self.model.name} is {self.model.status}; only an active model can be deployed"
        entry = entry_of(self.model.base)
        routes = entry.on(platform_name).deployments if entry else ()
        if entry and routes and self.kind not in routes:
            other = routes[0]
            return f"a custom {entry.name} cannot be deployed {self.kind}; use --kind {other}"
        if self.kind == "on_demand" and (request.units != 1 or request.commitment != "none"):
            return "--units and --commitment are for --kind provisioned"
        if request.name and not name_pattern.fullmatch(request.name):
            return f"--name {request.name}: letters and digits with single - or _ between them, at most 63"
        return ""


@dataclass(frozen=True)
class Deployer:
    """Deploys in one account and region. Every method raises AwsFailure when a call fails."""

    inventory: Inventory

    def existing(self, wanted: ModelDeployment) -> ManagedJob | None:
        """The existing deployment with this name; None when there is none.

        Raises UsageError when it is provisioned throughput for another model, or of another size.
        """
        kind = deployment if wanted.kind == "on_demand" else provisioned
        found = next((each for each in self._named(wanted, kind) if not each.failed), None)
        if found is None or wanted.kind == "on_demand":
            return found
        if found.model != wanted.model.id or found.details.get("modelUnits") != wanted.request.units:
            raise UsageError(
                f"{found.name} exists already: {found.details.get('modelUnits')} units of {found.model}."
                " Give another --name"
            )
        return found

    def _named(self, wanted: ModelDeployment, kind: Kind) -> list[ManagedJob]:
        name = wanted.name
        return [each for each in self.inventory.all(kind, nameContains=name) if each.name == name]

    def deploy(self, wanted: ModelDeployment, existing: ManagedJob | None, now: datetime) -> ManagedJob:
        """The deployment has been requested, or already existed; its lease starts at `now`."""
        token = str(uuid.uuid4())
        label = self._label(wanted)
        request = requests.deploying(_asked(wanted, label), now)
        tags = tags_of(requests.label_facts(label), token, **request["lease"])
        if existing is not None:
            return self._changed(existing, wanted, tags)
        whole = {**request["members"], "tags": tags, "clientRequestToken": token}
        if wanted.kind == "on_demand":
            created = {**whole, "modelDeploymentName": wanted.name}
            arn = self.inventory.bedrock.call("CreateCustomModelDeployment", created)[deployment.arn]
            return self.inventory.read(deployment, arn)
        bought = {**whole, "provisionedModelName": wanted.name}
        arn = self.inventory.bedrock.call("CreateProvisionedModelThroughput", bought)[provisioned.arn]
        return self.inventory.read(provisioned, arn)

    def _changed(
        self, existing: ManagedJob, wanted: ModelDeployment, tags: list[dict[str, str]]
    ) -> ManagedJob:
        bedrock = self.inventory.bedrock
        if existing.model != wanted.model.id:
            update = {deployment.identifier: existing.id, "modelArn": wanted.model.id}
            bedrock.call("UpdateCustomModelDeployment", update)
        before = polytunes(self.inventory.tags(existing.id))
        # The lease of a deployment with polytune's tags is renewed, but its owner's labels stay.
        kept = [tag for tag in tags if tag["key"].startswith(("polytune:expires", "polytune:idle"))]
        changed = tags if not before else kept
        if changed:
            bedrock.call("TagResource", {"resourceARN": existing.id, "tags": changed})
        return self.inventory.read(kind_named(existing.kind), existing.id)

    def _label(self, wanted: ModelDeployment) -> Label:
        """The project and experiment of the model, from its tags."""
        tags = polytunes(self.inventory.tags(wanted.model.id))
        experiment = tags.get("experiment") or wanted.model.name
        return Label(project=tags.get("project", ""), experiment=experiment, step=by_hand)


def _asked(wanted: ModelDeployment, label: Label) -> Deploying:
    return Deploying(
        kind=wanted.kind,
        name=wanted.request.name,
        model={"model_arn": wanted.model.id},
        units=wanted.request.units,
        commitment=wanted.request.commitment,
        ttl_seconds=wanted.request.ttl_seconds,
        idle_seconds=wanted.request.idle_seconds,
        label=label,
    )


def price_words(wanted: ModelDeployment, settings: Settings, live: Mapping[str, float]) -> str:
    """The cost of provisioned throughput, in words; `live` are current prices, which take precedence."""
    hourly = _hourly(wanted, settings, live)
    if hourly is None:
        price_text = "billed by the hour until it is deleted, at a price that is unknown"
    else:
        month = hourly * hours_per_month
        price_text = f"${hourly:,.2f} an hour, ${month:,.0f} a month, until it is deleted"
    if wanted.request.commitment != "none":
        price_text += f"; the {wanted.request.commitment.replace('_', ' ')} commitment cannot be ended early"
    return price_text


def _hourly(wanted: ModelDeployment, settings: Settings, live: Mapping[str, float]) -> float | None:
    entry = entry_of(wanted.model.base)
    known = (prices_of(entry, settings) if entry else None) or Prices()
    by_month = "provisioned_usd_per_hour_one_month"
    field = {"none": "provisioned_usd_per_hour", "one_month": by_month}.get(wanted.request.commitment)
    price = live.get(field, getattr(known, field)) if field else None
    return None if price is None else price * wanted.request.units
