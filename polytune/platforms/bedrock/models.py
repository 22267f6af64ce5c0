"""Models of an account by any of their names: what they were made from, and what makes them answer.

nova-lite, amazon.nova-lite-v1:0            a base model: its profile, or its id
us.anthropic.claude-...                     an id that no catalogue entry knows: as it is
...:custom-model-deployment/..., its name   the deployment
...:provisioned-model/..., its name         the throughput
...:imported-model/..., its name            the model itself
...:custom-model/..., its name              the first of its deployments that answers
"""

from __future__ import annotations

from dataclasses import dataclass

from polytune.aws.failures import Missing
from polytune.aws.shapes import RequestRefused
from polytune.base_models.interface import BASE_MODELS, BaseModelEntry, name_of
from polytune.data.prices import prices_of
from polytune.engine.artifacts import Facts
from polytune.errors import PolytuneError, UsageError
from polytune.platforms.bedrock.converse import Target, base_target, custom_target
from polytune.platforms.bedrock.requests import platform_name
from polytune.platforms.bedrock.resources import (
    Inventory,
    deployment,
    deployment_kinds,
    kind_of,
    provisioned,
)
from polytune.platforms.management import ManagedJob, ManagedModel
from polytune.settings import Settings


@dataclass(frozen=True)
class CallTarget:
    """What to invoke, and what is known of it."""

    target: Target
    base: str
    """The catalogue's name; '' for a model that it does not know."""
    custom: bool
    model_arn: str = ""
    """The custom or imported model behind it."""
    kind: str = ""
    """How it is deployed: `on_demand`, `provisioned`; '' where no deployment is needed."""


@dataclass(frozen=True)
class Models:
    """The models that one account can ask or delete."""

    inventory: Inventory
    settings: Settings

    def find(self, name: str) -> ManagedModel:
        """The custom or imported model of that ARN or name. Raises UsageError when there is none."""
        for found in (self._custom(name), self._imported(name)):
            if found is not None:
                return found
        where = self.inventory.access.region
        raise UsageError(f"no custom or imported model '{name}' in {where}; `polytune model list --custom`")

    def owned(self) -> list[ManagedModel]:
        """Every custom and imported model of the region."""
        bedrock = self.inventory.bedrock
        custom = [_custom(found) for found in bedrock.pages("ListCustomModels", {}, "modelSummaries")]
        imported = [_imported(found) for found in bedrock.pages("ListImportedModels", {}, "modelSummaries")]
        return custom + imported

    def check_unused(self, model: ManagedModel) -> None:
        """Returns for a model without deployments. Raises UsageError that names those it has."""
        users = self.inventory.deployments(model.id) if model.kind == "custom" else []
        if users:
            named = ", ".join(f"{user.name} ({user.id})" for user in users)
            raise UsageError(f"{model.name} is in use by {named}; `polytune undeploy` ends a deployment")

    def delete(self, model: ManagedModel) -> None:
        """The model is gone. Raises UsageError while deployments use it."""
        self.check_unused(model)
        operation = "DeleteCustomModel" if model.kind == "custom" else "DeleteImportedModel"
        self.inventory.bedrock.call(operation, {"modelIdentifier": model.id})

    def answering(self, name: str) -> CallTarget:
        """What to invoke for any name of a model. Raises UsageError when nothing answers to it."""
        base = entry_of(name)
        if base is not None and ":custom-model/" not in name:
            return self._base(name, base)
        if not name.startswith("arn:") and "." in name:
            return CallTarget(Target(name, None, None), "", custom=False)
        remote = self._deployment(name)
        return self._deployed(remote) if remote else self._owned(name)

    def _base(self, name: str, entry: BaseModelEntry) -> CallTarget:
        offering = entry.platforms.get(platform_name)
        if offering is None:
            raise UsageError(f"{entry.title} answers on this machine only: name a run that trained it")
        asked = name if name not in (entry.name, offering.training_id) else offering.call_id
        prices = prices_of(entry, self.settings)
        target = base_target(asked, prices) if prices else Target(asked, None, None)
        return CallTarget(target, entry.name, custom=False)

    def _deployment(self, name: str) -> ManagedJob | None:
        kind = kind_of(name)
        if name.startswith("arn:") and kind not in deployment_kinds:
            return None
        try:
            return self.inventory.find(name, deployment_kinds)
        except UsageError:
            if kind is not None:
                raise
            return None

    def _deployed(self, remote: ManagedJob) -> CallTarget:
        entry = entry_of(self._base_arn(remote.model))
        target = Target(remote.id, None, None)
        prices = prices_of(entry, self.settings) if entry else None
        if remote.kind == deployment.word and prices is not None:
            target = custom_target(remote.id, prices)
        return CallTarget(
            target,
            entry.name if entry else "",
            custom=":custom-model/" in remote.model,
            model_arn=remote.model,
            kind="provisioned" if remote.kind == provisioned.word else "on_demand",
        )

    def _base_arn(self, model_arn: str) -> str:
        """What a model was made from; the model's own ARN says it too, but for what was brought along."""
        if entry_of(model_arn) is not None:
            return model_arn
        found = self._custom(model_arn)
        return found.base_id if found else ""

    def _owned(self, name: str) -> CallTarget:
        model = self.find(name)
        if model.kind == "imported":
            return CallTarget(Target(model.id, None, None), "", custom=True, model_arn=model.id)
        deployments = self.inventory.deployments(model.id)
        ready = next((each for each in deployments if each.succeeded), None)
        if ready is not None:
            return self._deployed(ready)
        if deployments:
            one = deployments[0]
            raise UsageError(f"{model.name}: its deployment {one.name} is {one.status}; try again later")
        raise UsageError(f"{model.name} answers only when deployed: `polytune deploy {model.id}`")

    def _custom(self, name: str) -> ManagedModel | None:
        try:
            found = self.inventory.bedrock.call("GetCustomModel", {"modelIdentifier": name})
        except (Missing, RequestRefused):
            return None
        return _custom(found)

    def _imported(self, name: str) -> ManagedModel | None:
        try:
            found = self.inventory.bedrock.call("GetImportedModel", {"modelIdentifier": name})
        except (Missing, RequestRefused):
            return None
        return _imported(found)


def entry_of(name: str) -> BaseModelEntry | None:
    """The catalogue's entry for a name, an id or an ARN; None when it has none."""
    if not name or ":imported-model/" in name or ":custom-model/imported/" in name:
        return None
    try:
        return BASE_MODELS.get(name_of(name))
    except PolytuneError:
        return None


def _custom(found: Facts) -> ManagedModel:
    base_arn = str(found.get("baseModelArn") or "")
    entry = entry_of(base_arn)
    return ManagedModel(
        id=str(found["modelArn"]),
        name=str(found["modelName"]),
        kind="custom",
        base_id=base_arn,
        base=entry.name if entry else "",
        status=str(found.get("modelStatus") or ""),
        created=found.get("creationTime"),
        details=_details(found),
    )


def _imported(found: Facts) -> ManagedModel:
    return ManagedModel(
        id=str(found["modelArn"]),
        name=str(found["modelName"]),
        kind="imported",
        base_id="",
        base="",
        status="Active",
        created=found.get("creationTime"),
        details=_details(found),
    )


def _details(found: Facts) -> Facts:
    return {name: value for name, value in found.items() if name != "ResponseMetadata"}
