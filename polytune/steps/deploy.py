"""deploy: makes a custom model answer on platforms where it does not do so by itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from polytune.engine.answers import AnswerMemory
from polytune.engine.artifacts import Artifact
from polytune.engine.step import Estimate, Outcome, Port, Scope, Step, Work
from polytune.errors import Unavailable
from polytune.platforms.interface import open_platform
from polytune.spec.model import Inherited, Member, MemberSpec, Spec


class DeploySpec(Spec):
    """Deploys the custom model, for a limited time if `ttl` says so."""

    kind: Literal["on_demand", "provisioned"] = "on_demand"
    """Billed by the token, or by the hour."""
    ttl: Annotated[str, Field(pattern=r"^[1-9][0-9]*[mhd]$")] | None = None
    """How long the deployment may live: minutes, hours or days, as in `7d`."""
    platform: Annotated[MemberSpec, Member("platforms"), Inherited()]
    """Where to deploy."""


class Deploy(Step):
    """A deployment of a custom model."""

    version = 1
    Spec = DeploySpec
    consumes: ClassVar = {"model": Port(("CustomModel",))}
    produces = "Deployment"

    def __init__(self, spec: DeploySpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.spec = spec
        self.platform = open_platform(spec.platform, scope.root, scope.settings)

    def missing(self) -> str:
        """Local models need no deployment; Bedrock's arrive with that platform."""
        if not self.platform.deploys:
            return f"platform {self.platform.name} answers without a deployment; remove the step"
        return self.platform.missing()

    def estimate(self, inputs: Mapping[str, Artifact], answers: AnswerMemory) -> Estimate:
        """Unknown in this release."""
        return Estimate(
            note="on demand costs nothing while idle; the price of provisioned capacity is not modelled yet"
        )

    async def run(self, work: Work) -> Outcome:
        """Raises Unavailable: see `missing`."""
        raise Unavailable(self.missing())
