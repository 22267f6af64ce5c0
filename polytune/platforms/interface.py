"""What a platform is: where datasets are stored and models are customized, addressed and invoked.

Add one by writing one file here with one subclass of `Platform`; its name in YAML is the file's name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import msgspec

from polytune.engine.artifacts import Artifact, Facts
from polytune.engine.jobbook import JobRow
from polytune.engine.jobs import Driver
from polytune.openable import Openable
from polytune.registry import Family
from polytune.settings import Settings
from polytune.spec.model import MemberSpec


class PlatformSpec(MemberSpec):
    """Where data is stored and models are trained, deployed and invoked."""


class Customization(msgspec.Struct, frozen=True, kw_only=True):
    """What a training step asks of a platform."""

    base_model: str
    """A name of the catalogue, or the absolute path of a Hugging Face directory."""
    method: str
    """`lora` or `full` where the user can choose; '' where the platform decides."""
    hyperparameters: dict[str, int | float]
    """In words: epochs, learning_rate, warmup_steps, batch_size, and those of the method."""
    layout: str
    """The format of the files, as in `formats/`."""
    seed: int


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished customization left."""

    files: tuple[str, ...]
    """Files and folders in the folder that was collected into."""
    facts: Facts
    """What it takes to use the model; free of times, places and run ids."""
    metrics: Facts
    resources: dict[str, str] = {}
    """Remote things the result stands for, name to URI."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is asked: the system prompt it was trained with, and the user's turn."""

    system: str
    prompt: str


class Reply(msgspec.Struct, frozen=True, kw_only=True):
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

    @abstractmethod
    async def ask(self, questions: Sequence[Question]) -> list[Reply]:
        """One reply to each question, in order. Raises StepFailed when the model cannot be asked."""


class Platform(ABC):
    """Stores, customizes, addresses and invokes."""

    Spec: ClassVar[type[PlatformSpec]]
    name: ClassVar[str]
    deploys: ClassVar[bool]
    """Whether a custom model must be deployed before it can be invoked."""

    def __init__(self, spec: PlatformSpec, root: Path, settings: Settings) -> None:
        """`root` is the workspace."""
        self.root = root
        self.settings = settings

    def missing(self) -> str:
        """What keeps this platform from working here, and the remedy; '' when nothing does."""
        return ""

    @abstractmethod
    async def store(self, project: str, files: Mapping[str, Path]) -> dict[str, str]:
        """Every file is stored under its content; its URI is returned by name. Idempotent."""

    @abstractmethod
    def customization(self, ask: Customization, uris: Mapping[str, str]) -> tuple[Driver, Facts]:
        """Where the job runs, and the request in that driver's terms."""

    @abstractmethod
    def collect(self, job: JobRow, folder: Path) -> Collected:
        """The outputs of a completed job are in the folder."""

    @abstractmethod
    def address(self, model: Artifact) -> str:
        """The stable URI under which applications find the model, made available if need be."""

    @abstractmethod
    def invoker(self, model: Invoked, inference: Inference) -> Invoker:
        """Someone who asks that model."""

    def exists(self, uri: str) -> bool:
        """Whether a resource of this platform is still there."""
        return True


PLATFORMS: Family[Platform] = Family("platforms", "platform", Platform)


def open_platform(spec: MemberSpec, root: Path, settings: Settings) -> Platform:
    """The platform that a spec names, for a workspace."""
    assert isinstance(spec, PlatformSpec)
    return PLATFORMS.load(spec.kind)(spec, root, settings)
