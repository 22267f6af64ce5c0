"""The shape of a base model's facts; `interface` is where everybody imports it from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from polytune.errors import DataError

Customization = Literal["fine_tuning", "distillation", "reinforcement_fine_tuning", "continued_pre_training"]
Capability = Literal[
    "system_prompt", "streaming", "tools", "reasoning", "image_input", "video_input", "document_input"
]
TrainingApi = Literal["bedrock", "openai_compatible", "local"]
DeploymentRoute = Literal["on_demand", "provisioned"]
TeacherInvocation = Literal["on_demand", "profile"]
MediaKind = Literal["image", "video", "document"]
Number = int | float


class FactSource(msgspec.Struct, frozen=True):
    """Where some of an entry's facts were read, and when."""

    where: str
    """An address, a document's name, or the measurement that gave the figures."""
    date: str
    """The day or month it was read or measured: 2026-11-21, 2026-08."""
    covers: tuple[str, ...]
    """The entry's fields that it is the source of."""


class Hyperparameter(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that may be set for a training job; a range of one value cannot be chosen."""

    api_name: str
    """What the training API calls it: `epochCount`; for local training the word used in YAML."""
    minimum: Number | None = None
    """None when no bound is known."""
    maximum: Number | None = None
    default: Number | str | None = None
    """What holds when nothing is stated; None when a value must be stated, or none is documented."""
    whole: bool = True
    """Whether only whole numbers are taken."""
    required: bool = False
    """Whether the API has no default."""
    auto: str = ""
    """The word by which the API chooses for itself, spelled as the API wants it; '' when it has none."""
    choices: tuple[str, ...] = ()
    """The words it may be, for what is no number."""

    def holds(self, value: Number | str) -> bool:
        """Whether the API takes the value."""
        if isinstance(value, str):
            return value in self.choices or (bool(self.auto) and value.lower() == self.auto.lower())
        if self.choices or (self.whole and value != int(value)):
            return False
        low = self.minimum is None or value >= self.minimum
        return low and (self.maximum is None or value <= self.maximum)

    @property
    def allowed(self) -> str:
        """The values it may be, in words: `1 to 5`, `only 1`, `low, medium or high`."""
        if self.choices:
            return " or ".join(filter(None, (", ".join(self.choices[:-1]), self.choices[-1])))
        if self.minimum is not None and self.minimum == self.maximum:
            return f"only {self.minimum:g}"
        ends = [
            word + f"{end:g}"
            for word, end in (("from ", self.minimum), ("up to ", self.maximum))
            if end is not None
        ]
        if len(ends) == 2:
            ends = [f"{self.minimum:g} to {self.maximum:g}"]
        numbers = ends[0] if ends else "any whole number" if self.whole else "any number"
        return f"{numbers}, or {self.auto}" if self.auto else numbers


def count(api_name: str, minimum: int | None, maximum: int | None, default: int | None) -> Hyperparameter:
    """A whole number."""
    return Hyperparameter(api_name=api_name, minimum=minimum, maximum=maximum, default=default)


def rate(api_name: str, minimum: float, maximum: float, default: float) -> Hyperparameter:
    """A number that need not be whole."""
    return Hyperparameter(api_name=api_name, minimum=minimum, maximum=maximum, default=default, whole=False)


class Automatic(msgspec.Struct, frozen=True, kw_only=True):
    """The vendor's published rules for hyperparameters by the size of the dataset."""

    large_rows: int
    """Training rows from which a dataset is a large one."""
    epochs_below: int
    """For fewer rows than that."""
    epochs_from: int
    """For that many rows and more."""
    learning_rate: float
    rows_per_warmup_step: int
    """Warmup steps = training rows / this."""
    most_warmup_steps: int
    """The API's bound."""

    def values(self, rows: int) -> dict[str, Number]:
        """The hyperparameters for so many training rows, by their words in YAML."""
        return {
            "epochs": self.epochs_from if rows >= self.large_rows else self.epochs_below,
            "learning_rate": self.learning_rate,
            "warmup_steps": min(self.most_warmup_steps, round(rows / self.rows_per_warmup_step)),
        }


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much data a training job takes."""

    min_train_rows: int
    """Fewer is an error."""
    min_counts_validation: bool = False
    """Whether that number is of training and validation rows together."""
    advised_train_rows: int
    """Fewer is a warning."""
    max_rows: int | None
    """Training and validation rows together; None when no limit is known."""
    max_tokens_per_row: int | None
    chars_per_token: float
    """For estimates before a tokenizer has seen the text."""
    validation_doubtful: bool = False
    """Whether sources disagree on a validation set being taken at all."""
    min_validation_rows: int = 0
    """Fewer, where there are any, is an error."""
    max_validation_rows: int | None = None
    """None when no limit of its own is known; 0 when no validation set is taken."""
    max_train_bytes: int | None = None
    """Size of the training file."""
    max_validation_bytes: int | None = None
    min_caption_characters: int = 0
    """For image-caption rows."""
    max_caption_characters: int | None = None
    """For image-caption rows; None for rows of other layouts."""


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """What one kind of media in training rows may be."""

    kind: MediaKind
    formats: tuple[str, ...]
    doubtful_formats: tuple[str, ...] = ()
    """Those on whose being taken sources disagree."""
    most_per_row: int | None = None
    max_bytes: int | None = None
    """Of one file."""
    max_seconds: float | None = None
    """Of one video."""
    doubtful_seconds: float | None = None
    """Longer videos are taken by some sources only."""
    min_side_pixels: int | None = None
    max_side_pixels: int | None = None
    max_pixels: int | None = None
    """Width times height."""
    max_aspect: float | None = None
    """Longer side divided by the shorter."""


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


class Offering(msgspec.Struct, frozen=True, kw_only=True):
    """What one platform offers of a base model: its ids there, and how it is trained, called and deployed."""

    training_api: TrainingApi
    """Through which API it is trained."""
    untrained_because: str = ""
    """Why polytune starts no training job through that API; '' when it does."""
    training_id: str | None
    """What a training job names; None for a model that is only a teacher."""
    inference_id: str
    """What an inference call names: on Bedrock not the training id."""
    profile_id: str | None = None
    """The system inference profile, such as us.amazon.nova-lite-v1:0; None when none is known."""
    other_ids: tuple[str, ...] = ()
    """Further ids that mean this model."""
    regions: tuple[str, ...]
    """Where it can be trained, or invoked if it is only a teacher; empty for this machine."""
    folder: str | None = None
    """The folder of its weights and its tokenizer, for a model that a user has on this machine."""
    file_names: str = ""
    """What the name of a training file must match, as a regular expression; '' for any name."""
    teacher_invocation: tuple[TeacherInvocation, ...] = ()
    """How a distillation job may call it as a teacher; empty for a model that teaches nobody."""
    deployments: tuple[DeploymentRoute, ...] = ()
    """How a custom model made from it is put to use; empty when it needs no deployment, or cannot be made."""
    price_family: str | None = None
    """How AmazonBedrock's usage types in the AWS price list call it: NovaLite."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id that means the model on this platform."""
        found = (self.training_id, self.inference_id, self.profile_id, *self.other_ids)
        return tuple(dict.fromkeys(each for each in found if each))

    def takes_file_name(self, name: str) -> bool:
        """Whether a training file may be called so."""
        return not self.file_names or re.fullmatch(self.file_names, name) is not None

    @property
    def call_id(self) -> str:
        """What a call names to ask the model itself: its profile where it has one, else its inference id."""
        return self.profile_id or self.inference_id


class BaseModelEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Everything polytune knows of one base model."""

    name: str
    """The name in YAML: its file's with dashes, or its key in the table that it is a row of."""
    title: str
    """What tables call it."""
    platforms: Mapping[str, Offering]
    """The platforms that customize it, by their names in YAML; the usual one first, and never none."""
    customizations: tuple[Customization, ...]
    refused: Mapping[Customization, str] = {}
    """Customization types that one might expect, each with the reason why there are none."""
    formats: tuple[str, ...]
    """The training-record layouts it takes for fine-tuning, the usual one first."""
    other_formats: Mapping[Customization, tuple[str, ...]] = {}
    """Those of the other customization types, where they are not the same."""
    blocks: tuple[str, ...]
    """The kinds of content besides text that training rows may hold."""
    stricter: tuple[str, ...] = ()
    """Rules whose breach is an error for this model, though only a warning for others."""
    media: tuple[Media, ...] = ()
    """What the media among the blocks may be."""
    limits: Limits | None
    """For fine-tuning; None when it cannot be fine-tuned."""
    other_limits: Mapping[Customization, Limits] = {}
    """For the other customization types, where they are not the same."""
    hyperparameters: Mapping[str, Hyperparameter] | None
    """By the word used in YAML; None when it cannot be fine-tuned."""
    reinforcement: Mapping[str, Hyperparameter] | None = None
    """Those of reinforcement fine-tuning, by the word used in YAML; None when there is none."""
    automatic: Automatic | None = None
    """None when the vendor publishes no rules."""
    reserved: Reserved
    teachers: tuple[str, ...]
    """The base models that may teach it in a distillation job, by name."""
    context_tokens: int | None
    """What it can read and write in one call; None for models that make images or embeddings."""
    max_output_tokens: int | None = None
    """The longest answer; None when no source was found."""
    capabilities: tuple[Capability, ...]
    end_of_life: str | None = None
    """The date from which calls fail; None when none is announced."""
    prices: Prices | None
    """None for a model that runs on this machine, where nothing is charged."""
    sources: tuple[FactSource, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id that means this model, on any platform."""
        return tuple(dict.fromkeys(each for offering in self.platforms.values() for each in offering.ids))

    @property
    def offering(self) -> Offering:
        """That of the usual platform, for a question that names no platform."""
        return next(iter(self.platforms.values()))

    def on(self, platform: str) -> Offering:
        """What the platform offers of it. Raises DataError when it offers nothing."""
        if platform not in self.platforms:
            known = " or ".join(self.platforms)
            raise DataError(f"{self.title} is not available on platform '{platform}', only on {known}")
        return self.platforms[platform]

    def limits_of(self, customization: Customization) -> Limits | None:
        """How much data a job of that type takes; None when there is no such job."""
        if customization not in self.customizations:
            return None
        return self.other_limits.get(customization, self.limits)

    def formats_of(self, customization: Customization) -> tuple[str, ...]:
        """The layouts that a job of that type takes; none when there is no such job."""
        if customization not in self.customizations:
            return ()
        return self.other_formats.get(customization, self.formats)

    @property
    def all_formats(self) -> tuple[str, ...]:
        """The layouts that jobs of some type take, the usual one first."""
        found = [name for each in self.customizations for name in self.formats_of(each)]
        return tuple(dict.fromkeys(found))

    def has_ended(self, day: str) -> bool:
        """Whether calls fail on that day (2026-11-21), because the model's end of life has come."""
        return self.end_of_life is not None and day >= self.end_of_life

    def media_of(self, kind: str) -> Media | None:
        """What media of that kind may be; None when nothing is known."""
        return next((media for media in self.media if media.kind == kind), None)

    def source_of(self, field: str) -> FactSource | None:
        """Where a fact was read; for a message about a limit or a range."""
        return next((source for source in self.sources if field in source.covers), None)
