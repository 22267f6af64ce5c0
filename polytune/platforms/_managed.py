"""What commands show of a platform, as values: jobs, curves, models, deployments, checks, answers."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from polytune.engine.artifacts import Artifact, Facts
from polytune.engine.jobbook import JobState
from polytune.engine.step import Requirement
from polytune.errors import PolytuneError
from polytune.platforms.interface import (
    Commitment,
    DeploymentKind,
    Inference,
    Invoked,
    Platform,
    PlatformSpec,
    Question,
)


class ManagedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job or a deployment as it stood when it was read, whoever started it."""

    platform: str
    kind: str
    """What the platform calls it: customization, import, batch, on demand."""
    id: str
    """What commands take to find it again: an ARN, a token."""
    name: str
    status: str
    """In the platform's own words."""
    state: JobState
    """What the status means."""
    stages: dict[str, str] = {}
    """The status of each stage, for a job that tells."""
    created: datetime | None = None
    changed: datetime | None = None
    ended: datetime | None = None
    model: str = ""
    """The id of the model that it made, or serves; '' when there is none yet."""
    message: str = ""
    """Why it failed, as the platform says it."""
    details: Facts = {}
    """Everything that the platform said, in its own terms."""
    own: bool = True
    """Whether polytune started it, as far as can be told."""

    @property
    def succeeded(self) -> bool:
        """Whether it ended as it should; a deployment: whether it answers."""
        return self.state is JobState.COMPLETED

    @property
    def failed(self) -> bool:
        """Whether it ended otherwise."""
        return self.final and not self.succeeded

    @property
    def final(self) -> bool:
        """Whether no further look will show anything else."""
        return self.state.final


class JobListing(msgspec.Struct, frozen=True, kw_only=True):
    """The jobs of a platform."""

    jobs: tuple[ManagedJob, ...]
    gaps: tuple[str, ...] = ()
    """What could not be listed, and why: one line each."""


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """One curve."""

    name: str
    points: tuple[tuple[float, float], ...]
    """Step and value."""


class Curves(msgspec.Struct, frozen=True, kw_only=True):
    """What a training has written so far."""

    curves: tuple[Curve, ...] = ()
    synthetic: bool = False
    """Whether an emulator made the figures up."""


class JobObservation(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at a watched job showed."""

    job: ManagedJob
    """As it stood at the last look that succeeded."""
    curves: Curves = Curves()
    trouble: str = ""
    """Why this look failed; '' when it did not."""
    gone: bool = False
    """Whether the job does not exist any more."""
    next_look_seconds: float = 0.0
    """0 after the last look."""


class ManagedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that the user owns on a platform."""

    id: str
    name: str
    kind: str
    """`custom` or `imported`."""
    base_id: str
    """What it was made from, in the platform's terms; '' when the platform does not know."""
    base: str
    """The catalogue's name for what it was made from; '' when the catalogue does not know it."""
    status: str
    created: datetime | None
    details: Facts


@dataclass(frozen=True, kw_only=True)
class AnsweringModel:
    """What to call for a model's name, and what is known of it."""

    id: str
    """What a call names."""
    base: str
    """The catalogue's name; '' for a model that the catalogue does not know."""
    custom: bool
    """Whether it is a model of the user's own."""
    name: str = ""
    """Of a custom model: its own name."""
    deployment_kind: str = ""
    """`on_demand`, `provisioned`; '' where no deployment is needed."""
    region: str = ""


class OfferedModels(msgspec.Struct, frozen=True, kw_only=True):
    """The base models that a platform has now."""

    region: str
    customizations: dict[str, tuple[str, ...]]
    """By model id: the customizations it takes; empty for one that cannot be customized."""
    failure: str = ""
    """Why nobody could be asked."""


class LeasedDeployment(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment that polytune made, and what its lease comes to now."""

    job: ManagedJob
    tags: dict[str, str]
    """polytune's own: project, experiment, step, lease."""
    state: Literal["expired", "idle", "leased", "kept"]
    """`expired` and `idle` may be torn down; `leased` has a lease that still runs, `kept` has none."""
    why: str
    orphan: bool
    """Whether a run made it and no run of the ledger refers to it."""

    @property
    def due(self) -> bool:
        """Whether its lease is over."""
        return self.state in ("expired", "idle")


class DeploymentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to deploy by hand, and how."""

    model: str
    """Its id or its name."""
    kind: DeploymentKind
    name: str = ""
    """Of the deployment; '' for the model's own."""
    units: int = 1
    commitment: Commitment = "none"
    ttl_seconds: int = 0
    idle_seconds: int = 0


@dataclass(frozen=True, kw_only=True)
class DeploymentPlan:
    """What deploying would do, before anything is done."""

    request: DeploymentRequest
    model: ManagedModel
    existing: ManagedJob | None
    """What has the name already, and is used again."""
    notice: str = ""
    """What it costs; '' when it costs nothing while it is idle."""
    question: str = ""
    """What must be agreed to first; '' for nothing."""


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A data file that is stored on a platform."""

    uri: str
    sent: bool
    """False when the same bytes were there already."""


class PreflightCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `polytune doctor`."""

    what: str
    state: Literal["ok", "problem", "unknown"]
    """`unknown`: it could not be looked at."""
    found: str
    fix: str = ""
    """What to do about a problem."""


def ok(what: str, found: str) -> PreflightCheck:
    """Nothing to do."""
    return PreflightCheck(what=what, state="ok", found=found)


def wrong(what: str, found: str, fix: str) -> PreflightCheck:
    """A run would fail here."""
    return PreflightCheck(what=what, state="problem", found=found, fix=fix)


def unchecked(what: str, failure: PolytuneError) -> PreflightCheck:
    """It could not be looked at."""
    return PreflightCheck(what=what, state="unknown", found=f"could not be checked: {failure}")


class MeasuredAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A model's answer, and what it took."""

    text: str
    input_tokens: int
    output_tokens: int
    seconds: float
    """From the request to the end of the answer, as this machine saw it."""
    first_seconds: float | None = None
    """Until the first piece of a streamed answer."""
    server_ms: int | None = None
    """The latency that the platform states."""
    stop_reason: str = ""
    usd: float | None = None
    """None where no price is known, or none is charged by the token."""


@dataclass(frozen=True, kw_only=True)
class PlatformUse:
    """What one experiment asks of one platform."""

    project: str
    spec: PlatformSpec
    """The platform as the experiment's steps state it."""
    requirements: tuple[tuple[str, Requirement], ...]
    """Step id and requirement, in the order of the steps."""


class ModelClient(ABC):
    """Asks one model, one question at a time."""

    @abstractmethod
    def ask(self, question: Question) -> MeasuredAnswer:
        """The whole answer. Raises PolytuneError when there is none."""

    def stream(self, question: Question) -> Iterator[str | MeasuredAnswer]:
        """The pieces of the text as they arrive, then the answer. Raises PolytuneError, also halfway."""
        answer = self.ask(question)
        yield answer.text
        yield answer


@dataclass
class InvokerClient(ModelClient):
    """Asks the model of a run through its platform's invoker, which answers whole."""

    platform: Platform
    model: Artifact
    inference: Inference

    def ask(self, question: Question) -> MeasuredAnswer:
        """The whole answer. Raises StepFailed."""
        return asyncio.run(self._asked(question))

    async def _asked(self, question: Question) -> MeasuredAnswer:
        async with self.platform.invoker(Invoked(self.model, base=False), self.inference) as invoker:
            began = time.monotonic()
            (reply,) = await invoker.ask([question])
            seconds = round(time.monotonic() - began, 4)
        return MeasuredAnswer(
            text=reply.text,
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
            seconds=seconds,
            usd=reply.price_usd,
        )
