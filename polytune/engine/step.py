"""The interface of step kinds. A step is a pure function of its spec and its inputs' content, in one file.

A step kind declares the artifact types it consumes and the one it produces; the graph follows from that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import msgspec

from polytune.engine.answers import AnswerMemory, StoredAnswer
from polytune.engine.artifacts import Artifact, Facts, FileEntry, KeyRecord
from polytune.engine.budget import Budget
from polytune.engine.jobs import Jobs
from polytune.engine.ledger import Usage
from polytune.errors import Obstacle
from polytune.registry import Family
from polytune.settings import Settings
from polytune.spec import model

__all__ = ["STEPS", "Estimate", "Outcome", "Port", "Progress", "Requirement", "Scope", "Step", "Work"]


@dataclass(frozen=True)
class Port:
    """One input of a step kind."""

    types: tuple[str, ...]
    """Artifact types it accepts, preferred first."""
    optional: bool = False
    """Whether the step also works without it."""
    explicit: bool = False
    """Whether only `from:` connects it, even if some step produces its type."""


@dataclass(frozen=True)
class Scope:
    """The surroundings of a step; never hashed."""

    root: Path
    """The workspace's folder."""
    folder: Path
    """The experiment file's folder."""
    experiment: str
    project: str
    settings: Settings
    former_answers: bool = False
    """Whether the ledger holds answers under the identities of the first key format."""
    connected: frozenset[str] = frozenset()
    """The ports of the step that a step feeds."""
    folders: Mapping[str, Path] = field(default_factory=dict)
    """The folder of the YAML file that states a member or a `NamesPaths` field, where it is another one."""

    def folder_of(self, name: str) -> Path:
        """Return the folder to which paths in a member or a field are relative; `name` is its dotted path."""
        return self.folders.get(name, self.folder)


@dataclass(frozen=True)
class KeyFacts:
    """What affects a step's output besides its spec and inputs."""

    facts: Facts = field(default_factory=dict)
    watched: tuple[Path, ...] = ()
    """Files whose creation or change may change these facts."""
    environment: tuple[str, ...] = ()
    """Environment variables that were read for these facts."""
    notes: tuple[str, ...] = ()
    """What a reader of the plan should know, such as inputs that cannot be observed. Not part of the key."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Estimated cost of running a step; None where it cannot be known before its inputs exist."""

    requests: int | None = None
    """Paid requests."""
    reused: int | None = None
    """Answers that the answer memory already holds."""
    tokens: int | None = None
    usd_low: float | None = None
    usd_high: float | None = None
    seconds: float | None = None
    note: str = ""
    """A remark for the user, such as which price is missing and how to state it."""
    consent: str = ""
    """What the user must agree to besides the price, such as an hourly cost that continues after the run."""
    unpriced: str = ""
    """How to state the price of requests that a budget in dollars would refuse; '' when it is known."""
    obstacle: Obstacle | None = None
    """What would certainly stop the step, and only its inputs and answers could show."""


class Requirement(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a step will need from a platform, known before it runs; subclasses say what."""

    platform: str
    """The platform's name."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One progress report of a running step."""

    done: float
    total: float
    unit: str = ""
    """The unit of `done` and `total`: 'answers', 'records', 'of training'."""
    note: str = ""
    """What limits the speed, the loss, or what was reused."""
    usd: float | None = None
    """Spent so far by this step in this run."""


Reporter = Callable[[Progress], None]


@dataclass(frozen=True)
class Work:
    """One attempt at a step: what it may read, where it writes, and how it reports."""

    inputs: Mapping[str, Artifact]
    folder: Path
    """Empty at the start; files written here are kept if the outcome names them."""
    answers: AnswerMemory
    jobs: Jobs
    report: Reporter
    budget: Budget
    """What the run may still spend, shared by all its steps."""
    root: Path
    record: KeyRecord | None = None
    """What the output will be stored under."""

    def path(self, port: str, name: str) -> Path:
        """Return the absolute path of one file of an input."""
        return self.root / self.inputs[port].files[name].path


@dataclass(frozen=True)
class Outcome:
    """What an attempt produced."""

    files: tuple[str, ...] = ()
    """Files and folders of the work folder to keep, by their path in it."""
    passed: Mapping[str, FileEntry] = field(default_factory=dict)
    """Input files that are part of this artifact too."""
    placed: Mapping[str, str] = field(default_factory=dict)
    """Path in the workspace to which a kept file is also copied, by the file's name."""
    facts: Facts = field(default_factory=dict)
    records: Mapping[str, int] = field(default_factory=dict)
    """Number of lines of files that hold one record per line."""
    metrics: Facts = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    resources: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    """What was noticed and fails nothing; it is shown, and recorded in the manifest."""
    notes: tuple[str, ...] = ()
    """What is only recorded in the manifest."""


class Step(ABC):
    """A step kind. An instance is one step of one experiment."""

    version: ClassVar[int] = 1
    """Raise it when the same spec and inputs would give a different output."""
    Spec: ClassVar[type[model.Spec]]
    consumes: ClassVar[Mapping[str, Port]] = {}
    produces: ClassVar[str]

    def __init__(self, spec: model.Spec, files: Mapping[str, Path], scope: Scope) -> None:
        """`files` holds the absolute path of each `InputFile` of the spec, by dotted field name."""
        self.spec = spec
        self.files = files
        self.scope = scope

    # Plans call `key_facts` and `missing` often, so both are cheap and stay on this machine. `exists`,
    # `unready` and `estimate` may use the network.
    def key_facts(self) -> KeyFacts:
        """Return what else goes into the cache key. Starts nothing."""
        return KeyFacts()

    def missing(self) -> Obstacle | None:
        """Return what would stop this step on this machine: a missing program, an unset variable."""
        return None

    def unready(self) -> Obstacle | None:
        """Return what would stop it outside, such as a bucket that is not there. Asked before a run only."""
        return None

    def has_ended(self, token: str) -> bool:
        """Whether this step's job with that token has ended, as far as this machine can see."""
        return False

    def estimate(self, inputs: Mapping[str, Artifact], answers: AnswerMemory) -> Estimate:
        """Estimate the cost of a run. `inputs` holds the inputs already known. The default is free."""
        return Estimate(usd_low=0.0, usd_high=0.0)

    @classmethod
    def remembered(cls, files: Mapping[str, Path]) -> Iterable[StoredAnswer]:
        """Return the paid answers in an artifact of this kind (paths by name), to rebuild a lost ledger."""
        return ()

    def exists(self, uri: str) -> bool:
        """Whether a remote resource of an earlier outcome still exists."""
        return True

    def requirements(self) -> Sequence[Requirement]:
        """Return what a run of this step needs from platforms, so permissions can be checked before it."""
        return ()

    @abstractmethod
    async def run(self, work: Work) -> Outcome:
        """Write the artifact's files to the work folder. Raises StepFailed and its kin; may be cancelled."""


STEPS: Family[Step] = Family("steps", "step kind", Step)
