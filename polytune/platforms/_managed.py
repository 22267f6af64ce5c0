"""The values that commands show about a platform: jobs, curves, models, deployments, checks, answers."""

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
    """The state of a job or a deployment when it was read, whether or not polytune started it."""

    platform: str
    kind: str
    """Its kind in the platform's terms: customization, import, batch, on demand."""
    id: str
    """The identifier that commands accept: an ARN, a token."""
    name: str
    status: str
    """In the platform's own words."""
    state: JobState
    """The meaning of the status."""
    stages: dict[str, str] = {}
    """The status of each stage, for jobs that report it."""
    created: datetime | None = None
    changed: datetime | None = None
    ended: datetime | None = None
    model: str = ""
    """The id of the model that it created or serves; '' when there is none yet."""
    message: str = ""
    """The platform's own message about a failure."""
    details: Facts = {}
    """The platform's full description, in its own terms."""
    own: bool = True
    """Whether polytune started it, as far as can be determined."""

    @property
    def succeeded(self) -> bool:
        """Whether a job completed, or a deployment is active."""
        return self.state is JobState.COMPLETED

    @property
    def failed(self) -> bool:
        """Whether it ended without success."""
        return self.final and not self.succeeded

    @property
    def final(self) -> bool:
        """Whether its state can no longer change."""
        return self.state.final


class JobListing(msgspec.Struct, frozen=True, kw_only=True):
    """The jobs of a platform."""

    jobs: tuple[ManagedJob, ...]
    gaps: tuple[str, ...] = ()
    """One line for each kind that could not be listed, with the reason."""


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """One curve."""

    name: str
    points: tuple[tuple[float, float], ...]
    """Step and value."""


class Curves(msgspec.Struct, frozen=True, kw_only=True):
    """The curves that a training job has written so far."""

    curves: tuple[Curve, ...] = ()
    synthetic: bool = False
    """Whether an emulator generated the numbers."""


class JobObservation(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one look at a watched job."""

    job: ManagedJob
    """Its state at the last successful look."""
    curves: Curves = Curves()
    trouble: str = ""
    """Why this look failed; '' when it did not."""
    gone: bool = False
    """Whether the job no longer exists."""
    next_look_seconds: float = 0.0
    """0 after the last look."""


class ManagedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that the user owns on a platform."""

    id: str
    name: str
    kind: str
    """`custom` or `imported`."""
    base_id: str
    """The platform's id of its base model; '' when the platform does not know it."""
    base: str
    """The catalogue's name of its base model; '' when it is not in the catalogue."""
    status: str
    created: datetime | None
    details: Facts


@dataclass(frozen=True, kw_only=True)
class AnsweringModel:
    """The model that a name resolves to for calls."""

    id: str
    """The id to use in calls."""
    base: str
    """The catalogue's name of its base model; '' when it is not in the catalogue."""
    custom: bool
    """Whether it is one of the user's own models."""
    name: str = ""
    """The name of a custom model."""
    deployment_kind: str = ""
    """`on_demand`, `provisioned`; '' where no deployment is needed."""
    region: str = ""


class OfferedModels(msgspec.Struct, frozen=True, kw_only=True):
    """The base models that a platform has now."""

    region: str
    customizations: dict[str, tuple[str, ...]]
    """By model id, the customizations that it supports; empty for one that cannot be customized."""
    failure: str = ""
    """Why the platform could not be asked; '' when it was."""


class LeasedDeployment(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment that polytune created, and the current state of its lease."""

    job: ManagedJob
    tags: dict[str, str]
    """polytune's own: project, experiment, step, lease."""
    state: Literal["expired", "idle", "leased", "kept"]
    """`expired` and `idle` may be deleted; `leased` has a lease that is still valid, `kept` has none."""
    why: str
    orphan: bool
    """Whether a run created it but no run in the ledger refers to it."""

    @property
    def due(self) -> bool:
        """Whether its lease has ended."""
        return self.state in ("expired", "idle")


class DeploymentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to deploy from the command line, and how."""

    model: str
    """Its id or its name."""
    kind: DeploymentKind
    name: str = ""
    """The deployment's name; '' uses the model's name."""
    units: int = 1
    commitment: Commitment = "none"
    ttl_seconds: int = 0
    idle_seconds: int = 0


@dataclass(frozen=True, kw_only=True)
class DeploymentPlan:
    """What deploying would do; nothing has been done yet."""

    request: DeploymentRequest
    model: ManagedModel
    existing: ManagedJob | None
    """The deployment that already has the name and is reused; None for a new one."""
    notice: str = ""
    """What it costs; '' when it costs nothing while idle."""
    question: str = ""
    """The question that the user must confirm first; '' for none."""


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A data file that is stored on a platform."""

    uri: str
    sent: bool
    """False when the same bytes were already stored."""


class PreflightCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `polytune doctor`."""

    what: str
    state: Literal["ok", "problem", "unknown"]
    """`unknown` means that it could not be checked."""
    found: str
    fix: str = ""
    """How to fix a problem."""


def ok(what: str, found: str) -> PreflightCheck:
    """A check that passed."""
    return PreflightCheck(what=what, state="ok", found=found)


def wrong(what: str, found: str, fix: str) -> PreflightCheck:
    """A check that failed: a run would fail here."""
    return PreflightCheck(what=what, state="problem", found=found, fix=fix)


def unchecked(what: str, failure: PolytuneError) -> PreflightCheck:
    """A check that could not be made."""
    return PreflightCheck(what=what, state="unknown", found=f"could not be checked: {failure}")


class MeasuredAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A model's answer, with tokens, times and cost."""

    text: str
    input_tokens: int
    output_tokens: int
    seconds: float
    """From the request to the end of the answer, measured on this machine."""
    first_seconds: float | None = None
    """From the request to the first piece of a streamed answer."""
    server_ms: int | None = None
    """The latency that the platform reports."""
    stop_reason: str = ""
    usd: float | None = None
    """None when no price is known, or tokens are not charged."""


@dataclass(frozen=True, kw_only=True)
class PlatformUse:
    """What one experiment needs from one platform."""

    project: str
    spec: PlatformSpec
    """The platform's spec in the experiment."""
    requirements: tuple[tuple[str, Requirement], ...]
    """Step id and requirement, in the order of the steps."""


class ModelClient(ABC):
    """Asks one model, one question at a time."""

    @abstractmethod
    def ask(self, question: Question) -> MeasuredAnswer:
        """The complete answer. Raises PolytuneError when there is none."""

    def stream(self, question: Question) -> Iterator[str | MeasuredAnswer]:
        """The pieces of the text as they arrive, then the answer. Raises PolytuneError, also mid-answer."""
        answer = self.ask(question)
        yield answer.text
        yield answer


@dataclass
class InvokerClient(ModelClient):
    """Asks a run's model through its platform's invoker, which does not stream."""

    platform: Platform
    model: Artifact
    inference: Inference

    def ask(self, question: Question) -> MeasuredAnswer:
        """The complete answer. Raises StepFailed."""
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
