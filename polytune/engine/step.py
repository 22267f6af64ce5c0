"""What a step kind is: a pure function of its spec and its inputs' contents, in one file.

A step declares the artifact types it consumes and the one it produces; the graph follows from that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import msgspec

from polytune.engine.answers import AnswerMemory, StoredAnswer
from polytune.engine.artifacts import Artifact, Facts, FileEntry
from polytune.engine.budget import Budget
from polytune.engine.jobs import Jobs
from polytune.engine.ledger import Usage
from polytune.registry import Family
from polytune.settings import Settings
from polytune.spec import model

__all__ = ["STEPS", "Estimate", "Outcome", "Port", "Progress", "Requirement", "Scope", "Step", "Work"]


@dataclass(frozen=True)
class Port:
    """One input of a step kind."""

    types: tuple[str, ...]
    """Artifact types it accepts, the preferred one first."""
    optional: bool = False
    """Whether the step also works without it."""
    explicit: bool = False
    """Whether only `from:` connects it, even if a step produces its type."""


@dataclass(frozen=True)
class Scope:
    """Where a step finds itself: never hashed."""

    root: Path
    """The workspace."""
    folder: Path
    """The experiment file's folder."""
    experiment: str
    project: str
    settings: Settings


@dataclass(frozen=True)
class KeyFacts:
    """What decides a step's output besides its spec and inputs."""

    facts: Facts = field(default_factory=dict)
    watched: tuple[Path, ...] = ()
    """Files whose appearance or change may change these facts."""
    environment: tuple[str, ...] = ()
    """Environment variables that were read for them."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What running a step would take; None where it cannot be known before its inputs exist."""

    requests: int | None = None
    """Calls to pay for."""
    reused: int | None = None
    """Answers that memory already holds."""
    tokens: int | None = None
    usd_low: float | None = None
    usd_high: float | None = None
    seconds: float | None = None
    note: str = ""
    """What a reader should know, such as which price is missing and how to state it."""
    consent: str = ""
    """What must be agreed to besides the price, such as a cost by the hour that goes on after the run."""


class Requirement(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a step will ask of a platform, known before it runs; subclasses say what."""

    platform: str
    """The platform's name."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One report of a step at work."""

    done: float
    total: float
    unit: str = ""
    """What is counted: 'answers', 'records', 'of training'."""
    note: str = ""
    """What limits it, the loss, what was reused."""
    usd: float | None = None
    """Spent so far by this step in this run."""


Reporter = Callable[[Progress], None]


@dataclass(frozen=True)
class Work:
    """One attempt at a step: what it may read, where it writes, and whom it notifies."""

    inputs: Mapping[str, Artifact]
    folder: Path
    """Empty; everything written here that the outcome names is kept."""
    answers: AnswerMemory
    jobs: Jobs
    report: Reporter
    budget: Budget
    """What the run may still spend, shared by all of its steps."""
    root: Path

    def path(self, port: str, name: str) -> Path:
        """The absolute path of one file of an input."""
        return self.root / self.inputs[port].files[name].path


@dataclass(frozen=True)
class Outcome:
    """What an attempt made."""

    files: tuple[str, ...] = ()
    """Files and folders of the work folder to keep, by their path in it."""
    passed: Mapping[str, FileEntry] = field(default_factory=dict)
    """Files of inputs that belong to this artifact too."""
    placed: Mapping[str, str] = field(default_factory=dict)
    """Where in the workspace a kept file also goes, by its name."""
    facts: Facts = field(default_factory=dict)
    records: Mapping[str, int] = field(default_factory=dict)
    """Lines of those files that are one record a line."""
    metrics: Facts = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    resources: Mapping[str, str] = field(default_factory=dict)


class Step(ABC):
    """A step kind; an instance is one step of one experiment."""

    version: ClassVar[int] = 1
    """Raised when the same spec and inputs would give another output."""
    Spec: ClassVar[type[model.Spec]]
    consumes: ClassVar[Mapping[str, Port]] = {}
    produces: ClassVar[str]

    def __init__(self, spec: model.Spec, files: Mapping[str, Path], scope: Scope) -> None:
        """`files` holds the absolute path of each `InputFile` of the spec, by dotted field name."""
        self.spec = spec
        self.files = files
        self.scope = scope

    def key_facts(self) -> KeyFacts:
        """What else enters the cache key; starts nothing."""
        return KeyFacts()

    def missing(self) -> str:
        """What keeps this step from running on this machine, and the remedy; '' when nothing does."""
        return ""

    def unready(self) -> str:
        """What the outside world lacks, asked before a run starts: credentials, a bucket; '' for nothing."""
        return ""

    def estimate(self, inputs: Mapping[str, Artifact], answers: AnswerMemory) -> Estimate:
        """What a run would take; `inputs` holds the ones that are known already. Free by default."""
        return Estimate(usd_low=0.0, usd_high=0.0)

    @classmethod
    def remembered(cls, files: Mapping[str, Path]) -> Iterable[StoredAnswer]:
        """The paid answers that an artifact of this kind holds (paths by name), to rebuild a lost memory."""
        return ()

    def exists(self, uri: str) -> bool:
        """Whether something remote that an earlier outcome stood for is still there."""
        return True

    def requirements(self) -> Sequence[Requirement]:
        """What a run of this step asks of platforms, for whoever checks rights before it."""
        return ()

    @abstractmethod
    async def run(self, work: Work) -> Outcome:
        """The artifact's parts are in the work folder. Raises StepFailed and its kin; may be cancelled."""


STEPS: Family[Step] = Family("steps", "step kind", Step)
