"""Deploys a model of the account by hand, under a stable name: the same wish twice is one deployment.

The name is the model's own unless one is given. What has the name already is adopted when it serves the
model, and on demand it can be given the model when it serves another one.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from polytune.aws.naming import longest_name, tags_of
from polytune.base_models.interface import Prices
from polytune.data.prices import prices_of
from polytune.errors import UsageError
from polytune.platforms.bedrock import requests as requests
from polytune.platforms.bedrock.models import Model, entry_of
from polytune.platforms.bedrock.requests import platform_name
from polytune.platforms.bedrock.resources import Inventory, Remote, deployment, polytunes, provisioned
from polytune.platforms.interface import Deploying, Label
from polytune.settings import Settings

by_hand = "by-hand"
"""What the tag for the step says of deployments that no run made."""
hours_per_month = 730
name_pattern = re.compile(rf"([0-9a-zA-Z][_-]?){{1,{longest_name}}}")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What shall be deployed, and how."""

    model: Model
    kind: Literal["on_demand", "provisioned"]
    name: str
    """'' for the model's own."""
    units: int = 1
    commitment: Literal["none", "one_month", "six_months"] = "none"
    ttl_seconds: int = 0
    idle_seconds: int = 0

    def problem(self) -> str:
        """Why it cannot be; '' when it can."""
        if self.model.kind == "imported":
            return f"{self.model.name} is an imported model, which answers without a deployment"
        if self.model.status not in ("", "Active"):
            return f"{self.model.name} is {self.model.status}; only an active model can be deployed"
        entry = entry_of(self.model.base)
        routes = entry.on(platform_name).deployments if entry else ()
        if entry and routes and self.kind not in routes:
            other = routes[0]
            return f"a custom {entry.name} cannot be deployed {self.kind}; use --kind {other}"
        if self.kind == "on_demand" and (self.units != 1 or self.commitment != "none"):
            return "--units and --commitment are for --kind provisioned"
        if self.name and not name_pattern.fullmatch(self.name):
            return f"--name {self.name}: letters and digits with single - or _ between them, at most 63"
        return ""


@dataclass(frozen=True)
class Deployer:
    """Deploys in one account and region. Every method raises AwsFailure when AWS does not do as asked."""

    inventory: Inventory

    def existing(self, wish: Wish) -> Remote | None:
        """What has the wish's name already; None for nothing.

        Raises UsageError when it is bought capacity for another model, or of another size.
        """
        kind = deployment if wish.kind == "on_demand" else provisioned
        found = next((each for each in self._named(wish, kind) if not each.ended_badly), None)
        if found is None or wish.kind == "on_demand":
            return found
        if found.model != wish.model.arn or found.details.get("modelUnits") != wish.units:
            raise UsageError(
                f"{found.name} exists already: {found.details.get('modelUnits')} units of {found.model}."
                " Give another --name"
            )
        return found

    def _named(self, wish: Wish, kind: Any) -> list[Remote]:
        name = _name(wish)
        return [each for each in self.inventory.all(kind, nameContains=name) if each.name == name]

    def deploy(self, wish: Wish, existing: Remote | None, now: datetime) -> Remote:
        """The deployment is on its way, or was there; it carries the wish's lease, counted from `now`."""
        token = str(uuid.uuid4())
        label = self._label(wish)
        request = requests.deploying(_asked(wish, label), now)
        tags = tags_of(requests.label_facts(label), token, **request["lease"])
        if existing is not None:
            return self._changed(existing, wish, tags)
        whole = {**request["members"], "tags": tags, "clientRequestToken": token}
        if wish.kind == "on_demand":
            created = {**whole, "modelDeploymentName": _name(wish)}
            arn = self.inventory.bedrock.call("CreateCustomModelDeployment", created)[deployment.arn]
            return self.inventory.read(deployment, arn)
        bought = {**whole, "provisionedModelName": _name(wish)}
        arn = self.inventory.bedrock.call("CreateProvisionedModelThroughput", bought)[provisioned.arn]
        return self.inventory.read(provisioned, arn)

    def _changed(self, existing: Remote, wish: Wish, tags: list[dict[str, str]]) -> Remote:
        bedrock = self.inventory.bedrock
        if existing.model != wish.model.arn:
            update = {deployment.identifier: existing.arn, "modelArn": wish.model.arn}
            bedrock.call("UpdateCustomModelDeployment", update)
        before = polytunes(self.inventory.tags(existing.arn))
        kept = [tag for tag in tags if tag["key"].startswith(("polytune:expires", "polytune:idle"))]
        changed = tags if not before else kept
        if changed:
            bedrock.call("TagResource", {"resourceARN": existing.arn, "tags": changed})
        return self.inventory.read(existing.what, existing.arn)

    def _label(self, wish: Wish) -> Label:
        """Whose model it is, as far as its own tags tell."""
        tags = polytunes(self.inventory.tags(wish.model.arn))
        experiment = tags.get("experiment") or wish.model.name
        return Label(project=tags.get("project", ""), experiment=experiment, step=by_hand)


def _name(wish: Wish) -> str:
    """The stable name, in the characters that deployments take."""
    plain = re.sub(r"[^0-9a-zA-Z]*([-_])[^0-9a-zA-Z]*|[^0-9a-zA-Z]+", "-", wish.model.name)
    return wish.name or plain[:longest_name].strip("-")


def _asked(wish: Wish, label: Label) -> Deploying:
    return Deploying(
        kind=wish.kind,
        name=wish.name,
        model={"model_arn": wish.model.arn},
        units=wish.units,
        commitment=wish.commitment,
        ttl_seconds=wish.ttl_seconds,
        idle_seconds=wish.idle_seconds,
        label=label,
    )


def price_words(wish: Wish, settings: Settings, live: Mapping[str, float]) -> str:
    """What a provisioned wish costs, in words; `live` are looked-up prices, which win."""
    hourly = _hourly(wish, settings, live)
    if hourly is None:
        told = "billed by the hour until it is deleted, at a price that is unknown"
    else:
        month = hourly * hours_per_month
        told = f"${hourly:,.2f} an hour, ${month:,.0f} a month, until it is deleted"
    if wish.commitment != "none":
        told += f"; the {wish.commitment.replace('_', ' ')} commitment cannot be ended early"
    return told


def _hourly(wish: Wish, settings: Settings, live: Mapping[str, float]) -> float | None:
    entry = entry_of(wish.model.base)
    known = (prices_of(entry, settings) if entry else None) or Prices()
    by_month = "provisioned_usd_per_hour_one_month"
    field = {"none": "provisioned_usd_per_hour", "one_month": by_month}.get(wish.commitment)
    price = live.get(field, getattr(known, field)) if field else None
    return None if price is None else price * wish.units
