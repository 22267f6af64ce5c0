"""What a platform offers to people at the command line, besides running steps: look, stop, deploy, check.

    polytune job | model | deploy | undeploy | reap | doctor | iam     ->     Management     ->     a platform

A platform that is a folder may hold `management.py` with one subclass of `Management`; another package adds
one through the entry-point group `polytune.managements`, under its platform's name. Nothing else is edited:
commands ask every platform that has one, or the one that owns an identifier, or that `--platform` names.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import ClassVar, TypeVar

from polytune.base_models.interface import BaseModelEntry
from polytune.data.tokens import TokenCounter
from polytune.engine.artifacts import Artifact
from polytune.engine.ledger import Ledger
from polytune.engine.step import Requirement
from polytune.engine.workspace import Workspace
from polytune.errors import PolytuneError, Unavailable, UsageError
from polytune.platforms._managed import AnsweringModel as AnsweringModel
from polytune.platforms._managed import Curve as Curve
from polytune.platforms._managed import Curves as Curves
from polytune.platforms._managed import DeploymentPlan as DeploymentPlan
from polytune.platforms._managed import DeploymentRequest as DeploymentRequest
from polytune.platforms._managed import InvokerClient as InvokerClient
from polytune.platforms._managed import JobListing as JobListing
from polytune.platforms._managed import JobObservation as JobObservation
from polytune.platforms._managed import LeasedDeployment as LeasedDeployment
from polytune.platforms._managed import ManagedJob as ManagedJob
from polytune.platforms._managed import ManagedModel as ManagedModel
from polytune.platforms._managed import MeasuredAnswer as MeasuredAnswer
from polytune.platforms._managed import ModelClient as ModelClient
from polytune.platforms._managed import OfferedModels as OfferedModels
from polytune.platforms._managed import PlatformUse as PlatformUse
from polytune.platforms._managed import PreflightCheck as PreflightCheck
from polytune.platforms._managed import StoredFile as StoredFile
from polytune.platforms._managed import ok as ok
from polytune.platforms._managed import unchecked as unchecked
from polytune.platforms._managed import wrong as wrong
from polytune.platforms._watch import Watching as Watching
from polytune.platforms._watch import longer as longer
from polytune.platforms.interface import Inference, Platform, PlatformRequirement, PlatformSpec
from polytune.registry import Family
from polytune.settings import Settings

T = TypeVar("T")

usual_platform = "bedrock"
"""Where a command turns that needs one platform, when no platform is named."""


class Management(ABC):
    """One platform as the command line sees it.

    Every method raises PolytuneError when the platform cannot be asked; Unavailable where nobody set the
    platform up on this machine, which hides no other platform. Methods that find something by name raise
    UsageError when the platform has nothing of that name.
    """

    name: ClassVar[str]
    """The platform's."""
    statuses: ClassVar[tuple[str, ...]]
    """Every status that a job of this platform can have."""
    variables: ClassVar[tuple[str, ...]] = ()
    """What the names of the environment variables begin with that this platform reads."""

    def __init__(self, workspace: Workspace, settings: Settings, ledger: Ledger, region: str) -> None:
        """`region` is where to look; '' for the usual place."""
        self.workspace = workspace
        self.settings = settings
        self.ledger = ledger
        self.region = region

    @abstractmethod
    def owns(self, identifier: str) -> bool:
        """Whether the identifier can only mean something of this platform, by its shape; asks nobody."""

    def reopen(self) -> None:
        """Settings and credentials are read again before the next call: the user may have signed in since."""
        return

    # jobs

    @abstractmethod
    def jobs(self) -> JobListing:
        """Every job, polytune's own and others."""

    @abstractmethod
    def find_job(self, name: str, *, once: bool = False) -> ManagedJob:
        """The job or deployment of that id or name. `once`: no retries here, because the caller repeats."""

    @abstractmethod
    def look(self, job: ManagedJob) -> ManagedJob | None:
        """The job as it is now, without retries; None when it does not exist any more."""

    def curves(self, job: ManagedJob) -> Curves:
        """The curves that a training has written so far."""
        return Curves()

    def facts(self, job: ManagedJob) -> Iterable[tuple[str, str]]:
        """What else is worth knowing of a job: label and value, in order."""
        return ()

    def why(self, job: ManagedJob) -> str:
        """Why a job failed, with the likely fix; '' for one that did not."""
        return job.message

    @abstractmethod
    def cost_of_stopping(self, job: ManagedJob) -> str:
        """What stopping a job costs. Raises UsageError, with what to do instead, if it cannot be stopped."""

    @abstractmethod
    def stop(self, job: ManagedJob) -> ManagedJob:
        """The job is stopping, or has stopped; as it is now."""

    # models

    def models(self) -> list[ManagedModel]:
        """The user's own models."""
        return []

    def find_model(self, name: str) -> ManagedModel:
        """The user's own model of that id or name, which nothing uses if `delete_model` is to follow."""
        raise UsageError(f"platform {self.name} has no model '{name}'")

    def check_unused(self, model: ManagedModel) -> None:
        """Returns when a model can be deleted. Raises UsageError with what still uses it."""
        return

    def delete_model(self, model: ManagedModel) -> None:
        """The model is deleted. Raises UsageError with what still uses it."""
        raise Unavailable(f"platform {self.name} deletes no models")

    def offered_models(self) -> OfferedModels | None:
        """The base models that the platform has now; None where the catalogue is all there is to know."""
        return None

    def live_prices(self, entry: BaseModelEntry) -> Mapping[str, float]:
        """Today's prices of a base model by the catalogue's field names; {} when nobody tells."""
        return {}

    def token_counter(self, entry: BaseModelEntry) -> TokenCounter | None:
        """Counts tokens as the platform itself does for that base model; None where it cannot be asked."""
        return None

    # asking

    def answering(self, name: str) -> AnsweringModel:
        """What to call for a base model's, model's or deployment's name."""
        raise UsageError(f"platform {self.name} has no model '{name}' to ask")

    def client(self, name: str, inference: Inference) -> ModelClient:
        """Someone who asks the model of that name."""
        raise UsageError(f"platform {self.name} has no model '{name}' to ask")

    def client_of(self, platform: Platform, model: Artifact, inference: Inference) -> ModelClient:
        """Someone who asks a model that a run made on this platform."""
        return InvokerClient(platform, model, inference)

    # deployments

    def plan_deployment(self, request: DeploymentRequest) -> DeploymentPlan:
        """What deploying would do. Raises UsageError for a model that cannot be deployed so."""
        raise UsageError(f"platform {self.name} has no model '{request.model}' to deploy")

    def deploy(self, plan: DeploymentPlan, now: datetime) -> ManagedJob:
        """The deployment has been requested, or existed already; its lease counts from `now`."""
        raise Unavailable(f"platform {self.name} deploys no models")

    def deployments(self, now: datetime) -> list[LeasedDeployment]:
        """Every deployment that polytune made, with its lease; others are never shown."""
        return []

    def find_deployment(self, name: str) -> ManagedJob:
        """The deployment of that id or name."""
        raise UsageError(f"platform {self.name} has no deployment '{name}'")

    def check_removable(self, deployment: ManagedJob) -> None:
        """Returns when a deployment can be deleted now. Raises UsageError with what prevents it."""
        return

    def undeploy(self, deployment: ManagedJob) -> None:
        """The deployment is deleted; its model stays. Raises UsageError with what prevents it."""
        raise Unavailable(f"platform {self.name} has no deployments")

    # before a run

    @abstractmethod
    def checks(self, use: PlatformUse | None, options: Mapping[str, str]) -> Iterator[PreflightCheck]:
        """What would stop a run of the experiment; without one, of anything. Changes nothing.

        `options` are the command line's, such as `bucket`, where no experiment states them.
        """

    def policies(self, use: PlatformUse, form: str, account: str) -> str | None:
        """The rights that the experiment needs, as json, terraform or cloudformation; None for no rights.

        `account` is '' when the platform shall find it out. Raises UsageError when it cannot.
        """
        return None

    def upload(self, files: Mapping[str, Path], options: Mapping[str, str]) -> dict[str, StoredFile]:
        """The files are stored under their content; where, by the names given."""
        raise Unavailable(f"platform {self.name} takes no uploads")


MANAGEMENTS: Family[Management] = Family(
    "platforms", "platform", Management, file="management", group="managements"
)
"""Platforms that can be managed from the command line; a platform without the file is not among them."""


# What commands do with platforms


def find_among(platforms: Sequence[Management], find: Callable[[Management], T]) -> tuple[Management, T]:
    """The first platform that has what is looked for, and what it has.

    Raises the failure of a platform that could not be asked, if there is one: it may have it. Otherwise
    raises UsageError with what every platform said.
    """
    absent: list[str] = []
    failures: list[PolytuneError] = []
    for platform in platforms:
        try:
            return platform, find(platform)
        except UsageError as failure:
            absent.append(str(failure))
        except PolytuneError as failure:
            failures.append(failure)
    if failures:
        raise failures[0]
    raise UsageError("; ".join(dict.fromkeys(absent)))


def uses_of(
    project: str, requirements: Sequence[tuple[str, Sequence[Requirement]]]
) -> dict[str, PlatformUse]:
    """What an experiment asks of each platform that a step of it works on, by the platform's name.

    A platform on which no step works, but a teacher answers, is not among them: its account is not the
    experiment's.
    """
    pairs = [(step, each) for step, several in requirements for each in several]
    specs: dict[str, PlatformSpec] = {}
    for _, each in pairs:
        if isinstance(each, PlatformRequirement):
            specs.setdefault(each.platform, each.spec)
    return {
        name: PlatformUse(
            project=project,
            spec=spec,
            requirements=tuple((step, each) for step, each in pairs if each.platform == name),
        )
        for name, spec in specs.items()
    }
