"""What a platform is: where datasets are stored and models are customized, deployed, addressed and invoked.

Add one by writing one file here with one subclass of `Platform`; its name in YAML is the file's name.
Everything long is a job: the platform says which driver runs it and with which request, and reads what a
finished job left.
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
from polytune.errors import Unavailable
from polytune.registry import Family, Openable
from polytune.settings import Settings
from polytune.spec.model import MemberSpec

Offer = Literal["fine_tuning", "distillation", "reinforcement_fine_tuning", "import", "deployment"]
"""What a platform may be able to do with models."""

DeploymentKind = Literal["on_demand", "provisioned"]
Commitment = Literal["none", "one_month", "six_months"]
CustomizationKind = Literal["fine_tuning", "distillation", "reinforcement_fine_tuning"]

Job = tuple[Driver, Facts]
"""Where a job runs, and the request in that driver's terms."""


class PlatformSpec(MemberSpec):
    """Where data is stored and models are trained, deployed and invoked."""


class PlatformRequirement(Requirement, frozen=True, kw_only=True):
    """Something that a step asks of the platform that its spec states; by itself: to store and read data."""

    spec: PlatformSpec


class CustomizationRequirement(PlatformRequirement, frozen=True, kw_only=True):
    """A base model is customized, by a job that reads the data and writes its results."""

    kind: CustomizationKind
    base_model: str
    """As the file names it."""
    teacher_model: str = ""
    """A name of the catalogue; '' for none."""
    grader_function: str = ""
    """The ARN of a function that rewards answers; '' when polytune deploys the file of a reinforcement."""
    grader_role: str = ""
    """The ARN of the role that such a function runs with."""
    logs: str = ""
    """Where the invocation logs lie that are training data; '' for none."""


class ImportRequirement(PlatformRequirement, frozen=True, kw_only=True):
    """A model that was trained elsewhere is imported, by a job that reads its files."""


class DeploymentRequirement(PlatformRequirement, frozen=True, kw_only=True):
    """A custom model is deployed."""

    kind: DeploymentKind
    name: str = ""
    """The stable name; '' for none."""


class InvocationRequirement(PlatformRequirement, frozen=True, kw_only=True):
    """Models of the platform are asked by this machine."""


class TeacherRequirement(Requirement, frozen=True, kw_only=True):
    """A teacher answers on the platform, whatever platform the step itself works on."""

    batches: bool = False
    """Whether it also answers in batch jobs."""


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What names and tags of remote things say."""

    project: str
    experiment: str
    step: str


class Medium(msgspec.Struct, frozen=True, kw_only=True):
    """A file that rows of a dataset name."""

    uri: str
    kind: str
    """image, video or document."""
    format: str
    """As the row states it; '' when it does not."""
    allowed: Media | None
    """What the base model takes of the kind; None when nothing is known."""
    path: Path | None = None
    """Where the file lies that is stored with the dataset; None for one that is stored already."""


class Teaching(msgspec.Struct, frozen=True, kw_only=True):
    """Who teaches in a distillation."""

    teacher_model: str
    """A name of the catalogue."""
    max_response_tokens: int


class Logs(msgspec.Struct, frozen=True, kw_only=True):
    """Invocation logs as training data."""

    uri: str
    use_responses: bool
    """Whether the logged answers are the teacher's, so that only prompts without one are asked."""
    filters: Facts
    """As the platform's API takes them; {} for every record."""


class Customization(msgspec.Struct, frozen=True, kw_only=True):
    """What a training step asks of a platform."""

    kind: CustomizationKind = "fine_tuning"
    base_model: str
    """A name of the catalogue, or the absolute path of a Hugging Face directory."""
    starts_from: str = ""
    """The custom model to continue from, by its ARN; '' for the base model itself."""
    method: str = ""
    """`lora` or `full` where the user can choose; '' where the platform decides."""
    hyperparameters: dict[str, int | float | str] = {}
    """In words: epochs, learning_rate, warmup_steps, batch_size, and those of the method."""
    layout: str
    """The format of the files, as in `formats/`."""
    seed: int = 0
    label: Label
    teaching: Teaching | None = None
    logs: Logs | None = None
    """Training data besides, or instead of, the files."""
    grader: str = ""
    """The ARN of the function that rewards answers."""


class Importing(msgspec.Struct, frozen=True, kw_only=True):
    """A model that was trained elsewhere."""

    uri: str
    """Where its files were stored."""
    label: Label


class Deploying(msgspec.Struct, frozen=True, kw_only=True):
    """How a custom model shall answer."""

    kind: DeploymentKind
    name: str
    """A stable name behind which models may change; '' makes a new one for each model."""
    model: Facts
    """The custom model's facts."""
    units: int = 1
    """Model units, when provisioned."""
    commitment: Commitment = "none"
    ttl_seconds: int = 0
    """How long it may live; 0 for ever."""
    idle_seconds: int = 0
    """How long it may stay unasked; 0 for ever."""
    label: Label


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished job left."""

    files: tuple[str, ...] = ()
    """Files and folders in the folder that was collected into."""
    facts: Facts
    """What it takes to use the model; free of times, places and run ids."""
    metrics: Facts = {}
    resources: dict[str, str] = {}
    """Remote things the result stands for, name to URI."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is asked: the system prompt it was trained with, and the user's turn."""

    system: str
    prompt: str


class InvokedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a model answered."""

    text: str
    input_tokens: int
    output_tokens: int
    price_usd: float | None = 0.0


class Inference(msgspec.Struct, frozen=True, kw_only=True):
    """How answers are drawn."""

    max_tokens: int
    temperature: float
    """0 is greedy."""
    seed: int


@dataclass(frozen=True)
class Invoked:
    """A model to invoke: the artifact of a custom model, or the base it was made from."""

    artifact: Artifact
    base: bool
    """True to ask the base model, False for the custom one."""


class Invoker(Openable, ABC):
    """Asks one model; an async context manager around the process or connection it needs."""

    batch_size: ClassVar[int] = 1
    """Questions asked together. The answers of a batch may depend on its composition, so callers keep it."""
    batches_at_once: int = 1
    """How many batches may be in flight together."""
    endpoint: str = ""
    """Whose rate limits the questions count against: the server and the model, as messages name them. ''
    for a process of its own, which shares its limits with nobody."""

    def most_usd(self, question: Question) -> float:
        """What the answer costs at most; 0 where nothing is charged or no price is known."""
        return 0.0

    @abstractmethod
    async def ask(self, questions: Sequence[Question]) -> list[InvokedAnswer]:
        """One answer to each question, in order, from a single attempt.

        Raises Failure (asking.failures) when another attempt may succeed: the caller decides when. Raises
        StepFailed when the model cannot be asked at all, Paused when the user has to act first.
        """


class Platform(ABC):
    """Stores, customizes, deploys, addresses and invokes."""

    Spec: ClassVar[type[PlatformSpec]]
    name: ClassVar[str]
    offers: ClassVar[frozenset[Offer]]
    """What it can do with models; the steps for anything else say so before a run."""
    answers_free: ClassVar[bool] = False
    """Whether nothing is charged for answers."""

    def __init__(self, spec: PlatformSpec, root: Path, settings: Settings) -> None:
        """`root` is the workspace."""
        self.spec = spec
        self.root = root
        self.settings = settings

    def missing(self) -> str:
        """What keeps this platform from working here, and the remedy; '' when nothing does."""
        return ""

    def lacks(self, offer: Offer) -> str:
        """Why a step that needs the offer cannot run here; '' when it can."""
        if offer in self.offers:
            return self.missing()
        return f"platform {self.name} has no {offer.replace('_', ' ')}"

    def unready(self) -> str:
        """What a run would fail at later, asked of the outside world before it starts; '' if nothing."""
        return ""

    def refresh_prices(self) -> None:
        """What things cost is known as of today, where a price can be looked up; changes nothing else."""
        return

    def key_facts(self) -> KeyFacts:
        """What of the surroundings decides where things are stored and trained."""
        return KeyFacts()

    @abstractmethod
    async def store(self, project: str, files: Mapping[str, Path]) -> dict[str, str]:
        """Every file is stored under its content; its URI is returned by name. Idempotent."""

    async def store_folder(self, project: str, files: Mapping[str, Path]) -> str:
        """The files, by their paths in one folder, are stored together; the URI that theirs begin with."""
        raise Unavailable(f"platform {self.name} stores no folders")

    async def media_problems(self, media: Sequence[Medium]) -> dict[str, str]:
        """What keeps training from reading each of the files, by URI; nothing for those that are right."""
        return {each.uri: f"platform {self.name} trains on text only" for each in media}

    @abstractmethod
    def customization(self, ask: Customization, uris: Mapping[str, str]) -> Job:
        """Training as a job."""

    @abstractmethod
    def collect(self, job: JobRow, folder: Path) -> Collected:
        """The outputs of a completed training job are in the folder."""

    def try_reward(self, grader: Path, rollouts: Sequence[Facts]) -> Facts:
        """What a reward function did with some rows here. Raises StepFailed when it is unfit."""
        raise Unavailable(self.lacks("reinforcement_fine_tuning"))

    def publish_reward(self, grader: Path, role_arn: str, timeout_seconds: int) -> str:
        """The function, deployed from a Python file under its content; its address. Idempotent."""
        raise Unavailable(self.lacks("reinforcement_fine_tuning"))

    def importing(self, ask: Importing) -> Job:
        """The import of a model as a job. Raises Unavailable where the platform has none."""
        raise Unavailable(self.lacks("import"))

    def imported(self, job: JobRow) -> Collected:
        """The model that a completed import left."""
        raise Unavailable(self.lacks("import"))

    def deploying(self, ask: Deploying) -> Job:
        """A deployment as a job. Raises Unavailable where the platform has none."""
        raise Unavailable(self.lacks("deployment"))

    def deployed(self, job: JobRow) -> Collected:
        """The deployment that a completed job left."""
        raise Unavailable(self.lacks("deployment"))

    @abstractmethod
    def address(self, model: Artifact) -> str:
        """The stable URI under which applications find the model, made available if need be."""

    def has_base(self, model: Artifact) -> bool:
        """Whether the base model of a custom one answers here too, to be compared with."""
        return True

    @abstractmethod
    def invoker(self, model: Invoked, inference: Inference) -> Invoker:
        """Someone who asks that model."""

    def exists(self, uri: str) -> bool:
        """Whether a resource of this platform is still there. True when nobody can be asked."""
        return True


PLATFORMS: Family[Platform] = Family("platforms", "platform", Platform)


def open_platform(spec: MemberSpec, root: Path, settings: Settings) -> Platform:
    """The platform that a spec names, for a workspace."""
    assert isinstance(spec, PlatformSpec)
    return PLATFORMS.load(spec.kind)(spec, root, settings)
