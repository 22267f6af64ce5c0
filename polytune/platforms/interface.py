"""The interface of platforms: they store datasets, and customize, deploy, address and invoke models.

To add one, write one file here with one subclass of `Platform`; its name in YAML is the file's name. All long
work is a job: the platform names the driver that runs it and the request, and reads a finished job's results.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import msgspec

from polytune.base_models.interface import Media
from polytune.engine.artifacts import Artifact, Facts
from polytune.engine.jobbook import JobRow
from polytune.engine.jobs import Driver
from polytune.engine.step import KeyFacts, Requirement
from polytune.errors import Obstacle, Unavailable
from polytune.programs.packaged import PackagedProgram
from polytune.registry import Family, Openable
from polytune.settings import Settings
from polytune.spec.model import MemberSpec

Offer = Literal[
    "fine_tuning", "further_training", "distillation", "reinforcement_fine_tuning", "import", "deployment"
]
"""What a platform may support for models."""

DeploymentKind = Literal["on_demand", "provisioned"]
Commitment = Literal["none", "one_month", "six_months"]
CustomizationKind = Literal["fine_tuning", "distillation", "reinforcement_fine_tuning"]

Job = tuple[Driver, Facts]
"""The driver that runs a job, and the request in that driver's terms."""


class PlatformSpec(MemberSpec):
    """Where data is stored and models are trained, deployed and invoked."""


class PlatformRequirement(Requirement, frozen=True, kw_only=True):
    """What a step needs from the platform in its spec; this base class means: to store and read data."""

    spec: PlatformSpec


class CustomizationRequirement(PlatformRequirement, frozen=True, kw_only=True):
    """A base model is customized, by a job that reads the data and writes its results."""

    kind: CustomizationKind
    base_model: str
    """The base model as written in the file."""
    teacher_model: str = ""
    """The teacher's name in the catalogue; '' for none."""
    grader_function: str = ""
    """The ARN of a function that rewards answers; '' when polytune deploys a grader file."""
    grader_role: str = ""
    """The ARN of the role that a deployed grader file runs with."""
    logs: str = ""
    """The address of invocation logs used as training data; '' for none."""


class ImportRequirement(PlatformRequirement, frozen=True, kw_only=True):
    """A model that was trained elsewhere is imported, by a job that reads its files."""


class DeploymentRequirement(PlatformRequirement, frozen=True, kw_only=True):
    """A custom model is deployed."""

    kind: DeploymentKind
    name: str = ""
    """The stable name; '' for none."""


class InvocationRequirement(PlatformRequirement, frozen=True, kw_only=True):
    """This machine calls models of the platform."""


class TeacherRequirement(Requirement, frozen=True, kw_only=True):
    """A teacher answers on this platform, independent of the step's own platform."""

    batches: bool = False
    """Whether it also answers in batch jobs."""


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """The labels in names and tags of remote resources."""

    project: str
    experiment: str
    step: str


class Medium(msgspec.Struct, frozen=True, kw_only=True):
    """A file that rows of a dataset refer to."""

    uri: str
    kind: str
    """image, video or document."""
    format: str
    """The format that the row states; '' when it states none."""
    allowed: Media | None
    """The base model's limits for this kind of media; None when none are known."""
    path: Path | None = None
    """The local file that will be stored with the dataset; None for a file that is already stored."""


class Teaching(msgspec.Struct, frozen=True, kw_only=True):
    """The teacher of a distillation."""

    teacher_model: str
    """Its name in the catalogue."""
    max_response_tokens: int


class Logs(msgspec.Struct, frozen=True, kw_only=True):
    """Invocation logs as training data."""

    uri: str
    use_responses: bool
    """Whether the logged answers are the teacher's, so that it is asked only for prompts without one."""
    filters: Facts
    """Filters in the format of the platform's API; {} for every record."""


class Customization(msgspec.Struct, frozen=True, kw_only=True):
    """A training step's request to a platform."""

    kind: CustomizationKind = "fine_tuning"
    base_model: str
    """A name in the catalogue, or the absolute path of a Hugging Face directory."""
    starts_from: str = ""
    """The custom model to continue from, by its ARN; '' for the base model itself."""
    method: str = ""
    """`lora` or `full` where the user can choose; '' where the platform decides."""
    hyperparameters: dict[str, int | float | str] = {}
    """By their names in YAML: epochs, learning_rate, warmup_steps, batch_size, and those of the method."""
    layout: str
    """The format of the files, as in `formats/`."""
    seed: int = 0
    label: Label
    teaching: Teaching | None = None
    logs: Logs | None = None
    """Training data in addition to, or instead of, the files."""
    grader: str = ""
    """The ARN of the function that rewards answers."""


class Importing(msgspec.Struct, frozen=True, kw_only=True):
    """A model that was trained elsewhere."""

    uri: str
    """The address of its stored files."""
    label: Label


class Deploying(msgspec.Struct, frozen=True, kw_only=True):
    """The request to deploy a custom model."""

    kind: DeploymentKind
    name: str
    """A stable name whose model may be replaced; '' creates a new deployment for each model."""
    model: Facts
    """The custom model's facts."""
    units: int = 1
    """Model units, when provisioned."""
    commitment: Commitment = "none"
    ttl_seconds: int = 0
    """Its maximum lifetime; 0 for no limit."""
    idle_seconds: int = 0
    """How long it may go without a call; 0 for no limit."""
    label: Label


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """The results of a finished job."""

    files: tuple[str, ...] = ()
    """Files and folders in the folder that was collected into."""
    facts: Facts
    """What is needed to use the model; without times, paths and run ids, which would change its digest."""
    metrics: Facts = {}
    resources: dict[str, str] = {}
    """The remote resources that the result depends on, name to URI."""


@dataclass(frozen=True)
class RewardTrial:
    """The outcome of a local trial of a reward function."""

    metrics: Facts
    warnings: tuple[str, ...] = ()


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A request to a model: the system prompt that it was trained with, and the user's turn."""

    system: str
    prompt: str


class InvokedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A model's answer."""

    text: str
    input_tokens: int
    output_tokens: int
    price_usd: float | None = 0.0


class Inference(msgspec.Struct, frozen=True, kw_only=True):
    """The sampling parameters."""

    max_tokens: int
    temperature: float
    """0 is greedy."""
    seed: int


@dataclass(frozen=True)
class Invoked:
    """A model to invoke: a custom model's artifact, or its base model."""

    artifact: Artifact
    base: bool
    """True to ask the base model, False for the custom one."""
    folder: Path | None = None
    """Where the base model lies, if it was given as a folder."""


class Invoker(Openable, ABC):
    """Asks one model; an async context manager around the process or connection it needs."""

    batch_size: ClassVar[int] = 1
    """Questions per batch. Answers may depend on the composition of a batch, so callers keep it stable."""
    batches_at_once: int = 1
    """The number of batches that may be in flight at once."""
    endpoint: str = ""
    """The server and the model whose rate limits apply, as shown in messages; '' for a local process, which
    shares its limits with no one."""

    def most_usd(self, question: Question) -> float:
        """The maximum cost of the answer; 0 when nothing is charged or no price is known."""
        return 0.0

    @abstractmethod
    async def ask(self, questions: Sequence[Question]) -> list[InvokedAnswer]:
        """One answer per question, in order, from a single attempt.

        Raises Failure (asking.failures) when another attempt may succeed; the caller decides when to retry.
        Raises StepFailed when the model cannot be called at all, Paused when the user has to act first.
        """


class Platform(ABC):
    """Stores, customizes, deploys, addresses and invokes."""

    version: ClassVar[int] = 1
    """Raise it when the same spec would give a different result: it is in the keys of steps that use it."""
    Spec: ClassVar[type[PlatformSpec]]
    name: ClassVar[str]
    offers: ClassVar[frozenset[Offer]]
    """What it supports for models; steps that need anything else report that before a run."""
    answers_free: ClassVar[bool] = False
    """Whether answers are free of charge."""
    reward_names: ClassVar[tuple[str, ...]] = ()
    """File names that the package of a reward function has for itself."""

    def __init__(self, spec: PlatformSpec, root: Path, settings: Settings) -> None:
        """`root` is the workspace."""
        self.spec = spec
        self.root = root
        self.settings = settings

    def missing(self) -> Obstacle | None:
        """Why this platform does not work here, without asking anybody outside."""
        return None

    def lacks(self, offer: Offer) -> Obstacle | None:
        """Why a step that needs the offer cannot run here."""
        return self.missing() if offer in self.offers else self.without(offer)

    def without(self, offer: Offer) -> Obstacle:
        """That this platform does not have the offer."""
        having = [name for name in PLATFORMS.names() if offer in PLATFORMS.load(name).offers]
        cause = f"platform {self.name} has no {offer.replace('_', ' ')}"
        return Obstacle(cause, f"Use {' or '.join(having)}, or remove the step", "platform.kind")

    def refuses(self, base_model: str) -> Obstacle | None:
        """Why a known base model cannot be customized here now, such as its end of life."""
        return None

    def unready(self) -> Obstacle | None:
        """A problem that would make a run fail later, checked against the outside world."""
        return None

    def has_ended(self, token: str) -> bool:
        """Whether a job has ended without a result, as far as this machine can see; False if unknown."""
        return False

    def refresh_prices(self) -> None:
        """Prices are up to date if they can be looked up; nothing else changes."""
        return

    def key_facts(self) -> KeyFacts:
        """The settings outside the spec that decide where data is stored and models are trained."""
        return KeyFacts()

    @abstractmethod
    async def store(self, project: str, files: Mapping[str, Path]) -> dict[str, str]:
        """Every file is stored under the digest of its content; returns the URIs by name. Idempotent."""

    async def store_folder(self, project: str, files: Mapping[str, Path]) -> str:
        """The files of one folder, by relative path, are stored together; returns their common URI prefix."""
        raise Unavailable(f"platform {self.name} stores no folders")

    async def media_problems(self, media: Sequence[Medium]) -> dict[str, str]:
        """Why training cannot use a file, by URI; files without a problem are left out."""
        return {each.uri: f"platform {self.name} trains on text only" for each in media}

    @abstractmethod
    def customization(self, ask: Customization, uris: Mapping[str, str]) -> Job:
        """Training as a job."""

    @abstractmethod
    def collect(self, job: JobRow, folder: Path) -> Collected:
        """The outputs of a completed training job are in the folder."""

    def try_reward(self, reward: PackagedProgram, rollouts: Sequence[Facts]) -> RewardTrial:
        """The results of a local trial of a reward function. Raises StepFailed when it is not usable."""
        raise Unavailable(str(self.without("reinforcement_fine_tuning")))

    def publish_reward(self, reward: PackagedProgram, role_arn: str, timeout_seconds: int) -> str:
        """The package is deployed as a function named by its content; returns its address. Idempotent."""
        raise Unavailable(str(self.without("reinforcement_fine_tuning")))

    def importing(self, ask: Importing) -> Job:
        """The import of a model as a job. Raises Unavailable if the platform has no imports."""
        raise Unavailable(str(self.without("import")))

    def imported(self, job: JobRow) -> Collected:
        """The model that a completed import created."""
        raise Unavailable(str(self.without("import")))

    def deploying(self, ask: Deploying) -> Job:
        """A deployment as a job. Raises Unavailable if the platform has no deployments."""
        raise Unavailable(str(self.without("deployment")))

    def deployed(self, job: JobRow) -> Collected:
        """The deployment that a completed job created."""
        raise Unavailable(str(self.without("deployment")))

    @abstractmethod
    def address(self, model: Artifact) -> str:
        """The stable URI of the model for applications; the model is made available there if necessary."""

    def has_base(self, model: Artifact) -> bool:
        """Whether a custom model's base model can be called here too, for comparison."""
        return True

    @abstractmethod
    def invoker(self, model: Invoked, inference: Inference) -> Invoker:
        """An invoker for that model."""

    def exists(self, uri: str) -> bool:
        """Whether a resource of this platform still exists; True when this cannot be checked."""
        return True


PLATFORMS: Family[Platform] = Family("platforms", "platform", Platform)


def open_platform(spec: MemberSpec, root: Path, settings: Settings) -> Platform:
    """The platform that a spec names, for a workspace."""
    assert isinstance(spec, PlatformSpec)
    return PLATFORMS.load(spec.kind)(spec, root, settings)
