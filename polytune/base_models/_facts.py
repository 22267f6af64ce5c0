"""The data types of a base model's facts; import them from `interface`."""

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
    """Where and when some of an entry's facts were read."""

    where: str
    """A URL, a document's name, or the measurement behind the figures."""
    date: str
    """The day or month in which it was read or measured: 2026-11-21, 2026-08."""
    covers: tuple[str, ...]
    """The entry's fields that this is the source of."""


class Hyperparameter(msgspec.Struct, frozen=True, kw_only=True):
    """One hyperparameter of a training job; a range with a single value means that it is fixed."""

    api_name: str
    """Its name in the training API, such as `epochCount`; for local training the name used in YAML."""
    minimum: Number | None = None
    """None when no bound is known."""
    maximum: Number | None = None
    default: Number | str | None = None
    """The value used when none is set; None when one must be set, or no default is documented."""
    whole: bool = True
    """Whether only whole numbers are accepted."""
    required: bool = False
    """Whether a value must be set because the API has no default."""
    auto: str = ""
    """The value that lets the API choose, in the API's own spelling; '' when there is none."""
    choices: tuple[str, ...] = ()
    """The accepted words, for a hyperparameter that is not a number."""

    def holds(self, value: Number | str) -> bool:
        """Whether the API accepts the value."""
        if isinstance(value, str):
            return value in self.choices or (bool(self.auto) and value.lower() == self.auto.lower())
        if self.choices or (self.whole and value != int(value)):
            return False
        low = self.minimum is None or value >= self.minimum
        return low and (self.maximum is None or value <= self.maximum)

    @property
    def allowed(self) -> str:
        """The accepted values, in words: `1 to 5`, `only 1`, `low, medium or high`."""
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
    """A number that may have a fraction."""
    return Hyperparameter(api_name=api_name, minimum=minimum, maximum=maximum, default=default, whole=False)


class Automatic(msgspec.Struct, frozen=True, kw_only=True):
    """The vendor's published rules for hyperparameters by dataset size."""

    large_rows: int
    """The number of training rows from which a dataset counts as large."""
    epochs_below: int
    """For fewer rows than `large_rows`."""
    epochs_from: int
    """For `large_rows` rows or more."""
    learning_rate: float
    rows_per_warmup_step: int
    """Warmup steps = training rows / this."""
    most_warmup_steps: int
    """The API's maximum."""

    def values(self, rows: int) -> dict[str, Number]:
        """The hyperparameters for this number of training rows, by their names in YAML."""
        return {
            "epochs": self.epochs_from if rows >= self.large_rows else self.epochs_below,
            "learning_rate": self.learning_rate,
            "warmup_steps": min(self.most_warmup_steps, round(rows / self.rows_per_warmup_step)),
        }


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much data a training job accepts."""

    min_train_rows: int
    """Fewer is an error."""
    min_counts_validation: bool = False
    """Whether `min_train_rows` counts training and validation rows together."""
    advised_train_rows: int
    """Fewer is a warning."""
    max_rows: int | None
    """Training and validation rows together; None when no limit is known."""
    max_tokens_per_row: int | None
    chars_per_token: float
    """For token estimates without a tokenizer."""
    validation_doubtful: bool = False
    """Whether sources disagree on whether a validation set is accepted at all."""
    min_validation_rows: int = 0
    """Fewer is an error if there is a validation set."""
    max_validation_rows: int | None = None
    """None when no separate limit is known; 0 when no validation set is accepted."""
    max_train_bytes: int | None = None
    """Size of the training file."""
    max_validation_bytes: int | None = None
    min_caption_characters: int = 0
    """For image-caption rows."""
    max_caption_characters: int | None = None
    """For image-caption rows; None for rows of other layouts."""


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """The limits for one kind of media in training rows."""

    kind: MediaKind
    formats: tuple[str, ...]
    doubtful_formats: tuple[str, ...] = ()
    """Formats that some sources list as accepted and others do not."""
    most_per_row: int | None = None
    max_bytes: int | None = None
    """Of one file."""
    max_seconds: float | None = None
    """Of one video."""
    doubtful_seconds: float | None = None
    """Sources disagree on whether longer videos are accepted."""
    min_side_pixels: int | None = None
    max_side_pixels: int | None = None
    max_pixels: int | None = None
    """Width times height."""
    max_aspect: float | None = None
    """The longer side divided by the shorter one."""


class Reserved(msgspec.Struct, frozen=True, kw_only=True):
    """Strings that training text must not contain, because the model's own markup uses them."""

    documented: tuple[str, ...] = ()
    """Documented by the vendor. An error in a system or user text when spelled exactly like this and not part
    of a longer word; otherwise a warning."""
    reported: tuple[str, ...] = ()
    """Rejected only by the vendor's published validators: always a warning."""


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
    """A base model on one platform: its ids there, and how it is trained, called and deployed."""

    training_api: TrainingApi
    """The API that trains it."""
    untrained_because: str = ""
    """Why polytune does not start training jobs through that API; '' when it does."""
    training_id: str | None
    """The id for training jobs; None for a model that is only a teacher."""
    inference_id: str
    """The id for inference calls; on Bedrock it differs from the training id."""
    profile_id: str | None = None
    """The system inference profile, such as us.amazon.nova-lite-v1:0; None when none is known."""
    other_ids: tuple[str, ...] = ()
    """Other ids of the same model."""
    regions: tuple[str, ...]
    """The regions where it can be trained, or invoked if it is only a teacher; empty for local models."""
    methods: tuple[Literal["lora", "full"], ...] = ()
    """How its weights may be trained, the usual way first; empty where the API leaves no choice."""
    folder: str | None = None
    """The folder with its weights and tokenizer, for a model on the user's machine."""
    file_names: str = ""
    """A regular expression that the name of a training file must match; '' for any name."""
    teacher_invocation: tuple[TeacherInvocation, ...] = ()
    """How a distillation job may call it as a teacher; empty for a model that is not a teacher."""
    deployments: tuple[DeploymentRoute, ...] = ()
    """How a custom model based on it is deployed; empty when it needs no deployment or cannot be trained."""
    price_family: str | None = None
    """Its name in the AmazonBedrock usage types of the AWS price list, such as NovaLite."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id of the model on this platform."""
        found = (self.training_id, self.inference_id, self.profile_id, *self.other_ids)
        return tuple(dict.fromkeys(each for each in found if each))

    def takes_file_name(self, name: str) -> bool:
        """Whether a training file may have this name."""
        return not self.file_names or re.fullmatch(self.file_names, name) is not None

    @property
    def call_id(self) -> str:
        """The id for calling the base model: its inference profile if it has one, else its inference id."""
        # Several models answer on demand only through a profile, and a profile works for the others too.
        return self.profile_id or self.inference_id


class BaseModelEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that polytune knows about a base model."""

    name: str
    """Its name in YAML: its file's name with dashes, or its key in the table of its model family."""
    title: str
    """Its name in tables and messages."""
    platforms: Mapping[str, Offering]
    """The platforms that customize it, by their names in YAML; the default one first, never empty."""
    customizations: tuple[Customization, ...]
    refused: Mapping[Customization, str] = {}
    """Customization types that a user might expect, each with the reason why it is not available."""
    formats: tuple[str, ...]
    """The training-record layouts that it accepts for fine-tuning, the default one first."""
    other_formats: Mapping[Customization, tuple[str, ...]] = {}
    """The layouts for other customization types, where they differ."""
    blocks: tuple[str, ...]
    """The kinds of content besides text that training rows may contain."""
    stricter: tuple[str, ...] = ()
    """Rules that are errors for this model but only warnings for others."""
    media: tuple[Media, ...] = ()
    """The limits for the media among `blocks`."""
    limits: Limits | None
    """For fine-tuning; None when it cannot be fine-tuned."""
    other_limits: Mapping[Customization, Limits] = {}
    """For other customization types, where they differ."""
    hyperparameters: Mapping[str, Hyperparameter] | None
    """By their names in YAML; None when it cannot be fine-tuned."""
    reinforcement: Mapping[str, Hyperparameter] | None = None
    """The hyperparameters of reinforcement fine-tuning, by their names in YAML; None when not available."""
    automatic: Automatic | None = None
    """None when the vendor publishes no rules."""
    reserved: Reserved
    teachers: tuple[str, ...]
    """The base models that can be its teacher in a distillation job, by name."""
    context_tokens: int | None
    """Input and output tokens of one call; None for models that produce images or embeddings."""
    max_output_tokens: int | None = None
    """The longest answer, in tokens; None when no source was found."""
    capabilities: tuple[Capability, ...]
    end_of_life: str | None = None
    """The date from which calls fail; None when none has been announced."""
    prices: Prices | None
    """None for a local model, which costs nothing."""
    sources: tuple[FactSource, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id of this model, on any platform."""
        return tuple(dict.fromkeys(each for offering in self.platforms.values() for each in offering.ids))

    @property
    def offering(self) -> Offering:
        """The offering of the default platform, for callers that name no platform."""
        return next(iter(self.platforms.values()))

    def on(self, platform: str) -> Offering:
        """Its offering on the platform. Raises DataError when it is not available there."""
        if platform not in self.platforms:
            known = " or ".join(self.platforms)
            raise DataError(f"{self.title} is not available on platform '{platform}', only on {known}")
        return self.platforms[platform]

    def limits_of(self, customization: Customization) -> Limits | None:
        """How much data a job of that type accepts; None when the type is not available."""
        if customization not in self.customizations:
            return None
        return self.other_limits.get(customization, self.limits)

    def formats_of(self, customization: Customization) -> tuple[str, ...]:
        """The layouts that a job of that type accepts; empty when the type is not available."""
        if customization not in self.customizations:
            return ()
        return self.other_formats.get(customization, self.formats)

    @property
    def all_formats(self) -> tuple[str, ...]:
        """The layouts that jobs of any type accept, the default one first."""
        found = [name for each in self.customizations for name in self.formats_of(each)]
        return tuple(dict.fromkeys(found))

    def has_ended(self, day: str) -> bool:
        """Whether the model has reached its end of life on that day (2026-11-21), so that calls fail."""
        return self.end_of_life is not None and day >= self.end_of_life

    def media_of(self, kind: str) -> Media | None:
        """The limits for media of that kind; None when none are known."""
        return next((media for media in self.media if media.kind == kind), None)

    def source_of(self, field: str) -> FactSource | None:
        """The source of a field, for messages about a limit or a range; None when no source covers it."""
        return next((source for source in self.sources if field in source.covers), None)
