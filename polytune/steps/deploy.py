"""deploy: deploys a custom model on platforms where it does not answer by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from polytune.base_models.interface import BASE_MODELS
from polytune.data.prices import prices_of
from polytune.engine.answers import AnswerMemory
from polytune.engine.artifacts import Artifact
from polytune.engine.step import Estimate, Outcome, Port, Requirement, Work
from polytune.errors import Obstacle, StepFailed
from polytune.platforms.interface import Deploying, DeploymentRequirement
from polytune.spec.model import FieldProblem
from polytune.steps._platform import PlatformStep, PlatformStepSpec

seconds_per_unit = {"m": 60, "h": 3600, "d": 86_400}
# 365 days / 12 months x 24 hours.
hours_per_month = 730
Duration = Annotated[str, Field(pattern=r"^[1-9][0-9]*[mhd]$")]


class DeploySpec(PlatformStepSpec):
    """Deploys the custom model; `ttl` and `idle_after` limit how long."""

    kind: Literal["on_demand", "provisioned"] = "on_demand"
    """`on_demand` is billed by the token, `provisioned` by the hour."""
    name: Annotated[str, Field(pattern=r"^[0-9a-zA-Z]([_-]?[0-9a-zA-Z]){0,62}$")] | None = None
    """On demand only: a stable name. The model behind it can be replaced without changes to applications."""
    units: Annotated[int, Field(ge=1)] = 1
    """Provisioned only: number of model units."""
    commitment: Literal["none", "one_month", "six_months"] = "none"
    """Provisioned only: commitment term; it cannot be ended early."""
    ttl: Duration | None = None
    """Maximum lifetime of the deployment in minutes, hours or days, such as `7d`; `polytune reap` deletes it
    afterwards."""
    idle_after: Duration | None = None
    """Maximum idle time before `polytune reap` deletes the deployment."""

    def problems(self) -> list[FieldProblem]:
        """Report settings that belong to the other kind."""
        wrong = ("units", "commitment") if self.kind == "on_demand" else ("name",)
        default = {"units": 1, "commitment": "none", "name": None}
        other = "provisioned" if self.kind == "on_demand" else "on_demand"
        return [
            FieldProblem(field, f"only for `kind: {other}`")
            for field in wrong
            if getattr(self, field) != default[field]
        ]


class Deploy(PlatformStep):
    """A deployment of a custom model."""

    version = 1
    Spec = DeploySpec
    spec: DeploySpec
    consumes: ClassVar = {"model": Port(("CustomModel",))}
    produces = "Deployment"

    def missing(self) -> Obstacle | None:
        """Return what is missing; a platform whose models answer by themselves needs no such step."""
        if "deployment" not in self.platform.offers:
            cause = f"platform {self.platform.name} answers without a deployment"
            return Obstacle(cause, "Remove the step", "platform.kind")
        return super().missing()

    def estimate(self, inputs: Mapping[str, Artifact], answers: AnswerMemory) -> Estimate:
        """Estimate the cost: nothing while idle on demand; by the hour until deletion if provisioned."""
        if self.spec.kind == "on_demand":
            until = f"on demand, deleted after {self.spec.ttl}" if self.spec.ttl else "on demand"
            return Estimate(usd_low=0.0, usd_high=0.0, note=until)
        # Only provisioned throughput costs money while idle, so only here is a fresh price worth a request.
        self.platform.refresh_prices()
        model = inputs.get("model")
        base = model.facts.get("base_model") if model else None
        hourly = self._hourly(str(base)) if base in BASE_MODELS.names() else None
        return self._provisioned(hourly)

    def _hourly(self, base_model: str) -> float | None:
        prices = prices_of(BASE_MODELS.get(base_model), self.scope.settings)
        if prices is None:
            return None
        month = prices.provisioned_usd_per_hour_one_month
        price = month if self.spec.commitment == "one_month" else prices.provisioned_usd_per_hour
        # No price of the six-month term has a source; unknown is safer than the wrong one.
        return None if price is None or self.spec.commitment == "six_months" else price * self.spec.units

    def _provisioned(self, hourly: float | None) -> Estimate:
        if hourly is None:
            what = (
                "provisioned throughput is billed by the hour until it is deleted, at a price that is unknown"
            )
            return Estimate(note=f"price unknown: {what}", consent=what)
        monthly = f"${hourly:,.2f} an hour, ${hourly * hours_per_month:,.0f} a month, until it is deleted"
        if self.spec.commitment != "none":
            monthly += f"; the {self.spec.commitment.replace('_', ' ')} commitment cannot be ended early"
        if self.spec.ttl is None:
            return Estimate(note=monthly, consent=monthly)
        usd = round(hourly * seconds_of(self.spec.ttl) / 3600, 2)
        return Estimate(usd_low=usd, usd_high=usd, note=monthly, consent=monthly)

    def requirements(self) -> Sequence[Requirement]:
        """Return the permission to deploy."""
        return [
            DeploymentRequirement(
                platform=self.platform.name,
                spec=self.platform.spec,
                kind=self.spec.kind,
                name=self.spec.name or "",
            )
        ]

    async def run(self, work: Work) -> Outcome:
        """Submit the deployment or find it, and wait until it answers."""
        model, spec = work.inputs["model"], self.spec
        if "invocation_arn" in model.facts:
            raise StepFailed("an imported model answers without a deployment; remove the step")
        # A clear message before any request, instead of the service's own refusal.
        self._check_route(str(model.facts["base_model"]))
        ask = Deploying(
            kind=spec.kind,
            name=spec.name or "",
            model=model.facts,
            units=spec.units,
            commitment=spec.commitment,
            ttl_seconds=seconds_of(spec.ttl),
            idle_seconds=seconds_of(spec.idle_after),
            label=self.label("deploy"),
        )
        job = await self.finished(self.platform.deploying(ask), work)
        deployed = await asyncio.to_thread(self.platform.deployed, job)
        return Outcome(
            facts={**model.facts, "model_digest": model.digest, **deployed.facts},
            resources=deployed.resources,
        )

    def _check_route(self, base_model: str) -> None:
        """Raise StepFailed when AWS does not offer this kind of deployment for the base model."""
        entry = BASE_MODELS.get(base_model) if base_model in BASE_MODELS.names() else None
        offering = entry.platforms.get(self.platform.name) if entry else None
        routes = offering.deployments if offering else ()
        if routes and self.spec.kind not in routes:
            raise StepFailed(
                f"a custom {base_model} cannot be deployed {self.spec.kind}; set `kind: {routes[0]}`"
            )


def seconds_of(duration: str | None) -> int:
    """Return a duration such as `7d` in seconds; 0 for None."""
    return int(duration[:-1]) * seconds_per_unit[duration[-1]] if duration else 0
