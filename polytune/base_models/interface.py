"""What a base model is to polytune: dated, sourced facts, and nothing that acts.

Add one by writing one file here that holds one `BaseModelEntry`; its name is the file's name, written
with dashes. A fact that nobody stated is None, never a guess; `sources` says where each fact was read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Generic, Literal, TypeVar

import msgspec

from polytune.errors import DataError
from polytune.registry import Catalogue

Platform = Literal["bedrock", "local"]
Customization = Literal["fine_tuning", "distillation", "reinforcement_fine_tuning"]
Capability = Literal[
    "system_prompt", "streaming", "tools", "reasoning", "image_input", "video_input", "document_input"
]

Number = TypeVar("Number", int, float)


class Source(msgspec.Struct, frozen=True):
    """Where some of an entry's facts were read, and when."""

    where: str
    """An address, a document's name, or the measurement that gave the figures."""
    date: str
    """The day or month it was read or measured: 2026-11-21, 2026-08."""
    covers: tuple[str, ...]
    """The entry's fields that it is the source of."""


class Range(msgspec.Struct, Generic[Number], frozen=True):
    """The values that a hyperparameter may take."""

    minimum: Number
    maximum: Number
    default: Number

    def holds(self, value: Number) -> bool:
        """Whether the value is allowed."""
        return self.minimum <= value <= self.maximum


class Hyperparameters(msgspec.Struct, frozen=True, kw_only=True):
    """What may be set for a training job; a range of one value is a value that cannot be chosen."""

    epochs: Range[int]
    learning_rate: Range[float]
    warmup_steps: Range[int]
    batch_size: Range[int]
    rows_per_warmup_step: int | None = None
    """The vendor's advice: warmup steps = training rows / this."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much data a training job takes."""

    min_train_rows: int
    """Fewer is an error."""
    advised_train_rows: int
    """Fewer is a warning."""
    max_rows: int | None
    """Training and validation rows together; None when no limit is known."""
    max_tokens_per_row: int | None
    chars_per_token: float
    """For estimates before a tokenizer has seen the text."""
    validation_doubtful: bool = False
    """Whether sources disagree on a validation set being taken at all."""


class Reserved(msgspec.Struct, frozen=True, kw_only=True):
    """Strings that training text must not hold, because the model's own markup uses them."""

    documented: tuple[str, ...] = ()
    """Stated by the vendor: in a system or user text, spelled so and not inside a longer word, an error;
    elsewhere or spelled otherwise, a warning."""
    reported: tuple[str, ...] = ()
    """Refused by the vendor's published validators only: a warning anywhere."""


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars; None where no source was found."""

    training_usd_per_1k_tokens: float | None = None
    input_usd_per_1k_tokens: float | None = None
    output_usd_per_1k_tokens: float | None = None
    custom_input_usd_per_1k_tokens: float | None = None
    """The custom model on demand."""
    custom_output_usd_per_1k_tokens: float | None = None
    storage_usd_per_month: float | None = None
    """Keeping one custom model."""
    provisioned_usd_per_hour: float | None = None
    """One model unit without commitment."""
    provisioned_usd_per_hour_one_month: float | None = None
    """One model unit committed for a month."""


class BaseModelEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Everything polytune knows of one base model."""

    name: str
    """The name in YAML: the file's name, with dashes."""
    title: str
    """What tables call it."""
    platform: Platform
    training_id: str | None
    """What a training job names; None for a model that is only a teacher."""
    inference_id: str
    """What an inference call names: on Bedrock not the training id."""
    regions: tuple[str, ...]
    """Where it can be trained, or invoked if it is only a teacher; empty for local models."""
    customizations: tuple[Customization, ...]
    formats: tuple[str, ...]
    """The training-record layouts it takes, the usual one first."""
    blocks: tuple[str, ...]
    """The kinds of content besides text that training rows may hold."""
    limits: Limits | None
    """None for a model that is only a teacher."""
    hyperparameters: Hyperparameters | None
    """None for a model that is only a teacher."""
    reserved: Reserved
    teachers: tuple[str, ...]
    """The base models that may teach it in a distillation job, by name."""
    context_tokens: int
    """What it can read and write in one call."""
    capabilities: tuple[Capability, ...]
    prices: Prices | None
    """None for a model that runs on this machine, where nothing is charged."""
    sources: tuple[Source, ...]

    def source_of(self, field: str) -> Source | None:
        """Where a fact was read; for a message about a limit or a range."""
        return next((source for source in self.sources if field in source.covers), None)


BASE_MODELS = Catalogue("base_models", "base model", BaseModelEntry)

local_formats = ("bedrock-conversation-2024", "prompt-completion")
unstated_context_tokens = 2048


class HuggingFaceConfig(msgspec.Struct, frozen=True):
    """The part of a model folder's `config.json` that decides how much text fits."""

    max_position_embeddings: int = unstated_context_tokens


def for_directory(folder: Path) -> BaseModelEntry:
    """The facts of a causal language model in a local Hugging Face folder, named after the folder.

    Raises DataError when the folder holds no readable `config.json`.
    """
    path = folder / "config.json"
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; a base model with a / in it is a folder's path")
    try:
        config = msgspec.json.decode(path.read_bytes(), type=HuggingFaceConfig)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{folder}: not a Hugging Face model folder: {error}. "
            f"Give a folder with config.json, or one of: {', '.join(BASE_MODELS.names())}."
        ) from error
    return msgspec.structs.replace(
        LOCAL_DIRECTORY,
        name=folder.name,
        title=f"{folder.name} (local folder)",
        training_id=str(folder),
        inference_id=str(folder),
        context_tokens=config.max_position_embeddings,
        limits=_local_limits(config.max_position_embeddings),
    )


def _local_limits(context_tokens: int) -> Limits:
    return Limits(
        min_train_rows=1,
        advised_train_rows=8,
        max_rows=None,
        max_tokens_per_row=context_tokens,
        chars_per_token=3.0,
    )


LOCAL_DIRECTORY = BaseModelEntry(
    name="local-directory",
    title="a local Hugging Face folder",
    platform="local",
    training_id="local-directory",
    inference_id="local-directory",
    regions=(),
    customizations=("fine_tuning",),
    formats=local_formats,
    blocks=(),
    limits=_local_limits(unstated_context_tokens),
    hyperparameters=Hyperparameters(
        epochs=Range(1, 100, 1),
        learning_rate=Range(1e-7, 1e-1, 2e-4),
        warmup_steps=Range(0, 10_000, 10),
        batch_size=Range(1, 1024, 4),
    ),
    reserved=Reserved(),
    teachers=(),
    context_tokens=unstated_context_tokens,
    capabilities=("system_prompt",),
    prices=None,
    sources=(
        Source(
            "polytune: bounds and defaults chosen for LoRA on a model of unknown size",
            "2026-11-21",
            ("limits", "hyperparameters", "formats", "customizations", "context_tokens", "capabilities"),
        ),
        Source("the folder itself", "2026-11-21", ("training_id", "inference_id")),
    ),
)
"""The facts that hold for any local Hugging Face folder before its `config.json` is read."""


def is_folder(name: str) -> bool:
    """Whether a spec's `base_model` is the path of a folder, not a name of the catalogue."""
    return "/" in name


def checked_base_model(name: str) -> str:
    """The name or path itself, for a spec's `base_model`. Raises ValueError for an unknown name."""
    return name if is_folder(name) else BASE_MODELS.checked(name)


def find_base_model(name: str, near: Path) -> BaseModelEntry:
    """The facts behind a spec's `base_model`; a path is relative to the folder `near`.

    Raises UnknownMember for an unknown name, DataError for a folder that holds no model.
    """
    return for_directory((near / name).resolve()) if is_folder(name) else BASE_MODELS.get(name)
