"""The emulator's view of polytune's base-model catalogue, and its only access to it: ids, regions, ranges.

training id    amazon.nova-lite-v1:0:300k    can be customized and provisioned, cannot be invoked
foundation id  amazon.nova-lite-v1:0         invoked on demand or through a profile
profile id     us.amazon.nova-lite-v1:0      a foundation id with a geography prefix
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from polytune.base_models.interface import (
    BASE_MODELS,
    BaseModelEntry,
    Customization,
    Hyperparameter,
    Limits,
    Offering,
    profile_prefix,
)

platform_name = "bedrock"
"""The name, in YAML, of the emulated platform."""
customization_words: Mapping[str, Customization] = {
    "FINE_TUNING": "fine_tuning",
    "DISTILLATION": "distillation",
    "REINFORCEMENT_FINE_TUNING": "reinforcement_fine_tuning",
    "CONTINUED_PRE_TRAINING": "continued_pre_training",
}
"""The API's customizationType -> the catalogue's word."""
image_layout = "image-caption"
providers = {
    "amazon": "Amazon",
    "anthropic": "Anthropic",
    "meta": "Meta",
    "openai": "OpenAI",
    "qwen": "Qwen",
}
foundation_model_arn = re.compile(r"arn:aws[^:]*:bedrock:(?P<region>[a-z0-9-]+)::foundation-model/(?P<id>.+)")
profile_arn = re.compile(r"arn:aws[^:]*:bedrock:(?P<region>[a-z0-9-]+):\d{12}:inference-profile/(?P<id>.+)")


@dataclass(frozen=True)
class Foundation:
    """One foundation model as Bedrock lists it."""

    model_id: str
    entry: BaseModelEntry
    trainable: bool
    """Whether it is the customizable variant, not the one for inference."""

    @property
    def offering(self) -> Offering:
        """The catalogue's facts about the model on Bedrock."""
        return self.entry.on(platform_name)

    @property
    def provider(self) -> str:
        """The model's vendor: `Amazon`, `Meta`."""
        prefix = self.model_id.partition(".")[0]
        return providers.get(prefix, prefix.title())

    @property
    def title(self) -> str:
        """The model's name without the vendor: `Nova 2 Lite`."""
        return self.entry.title.removeprefix(f"{self.provider} ")

    @property
    def customizations(self) -> tuple[str, ...]:
        """The customization types that it supports, with the API's names."""
        words = self.entry.customizations if self.trainable else ()
        return tuple(api for api, word in customization_words.items() if word in words)

    @property
    def input_modalities(self) -> tuple[str, ...]:
        """Its input modalities, with the API's names."""
        # A model that is trained on images also takes one as input, whether or not its capabilities say so.
        words = {"image_input": "IMAGE", "video_input": "VIDEO"}
        drawing = ("image_input",) if image_layout in self.entry.formats else ()
        can = {*self.entry.capabilities, *drawing}
        kinds = [word for capability, word in words.items() if capability in can]
        return ("TEXT", *kinds)

    @property
    def output_modalities(self) -> tuple[str, ...]:
        """Its output modalities: `EMBEDDING` for embedding models, `IMAGE` for image models, else `TEXT`."""
        if "embed" in self.model_id:
            return ("EMBEDDING",)
        return ("IMAGE",) if image_layout in self.entry.formats else ("TEXT",)

    @property
    def inference_types(self) -> tuple[str, ...]:
        """How it can be invoked. A customizable variant needs provisioned throughput."""
        offering = self.offering
        found = ["PROVISIONED"] if self.trainable else []
        if profile_prefix.sub("", offering.inference_id) == self.model_id:
            if offering.inference_id == self.model_id or "on_demand" in offering.teacher_invocation:
                found.insert(0, "ON_DEMAND")
            if offering.profile_id is not None:
                found.append("INFERENCE_PROFILE")
        return tuple(found)

    @property
    def hyperparameters(self) -> tuple[Hyperparameter, ...]:
        """The hyperparameters that `hyperParameters` of a job accepts."""
        return tuple((self.entry.hyperparameters or {}).values())

    @property
    def reinforcement(self) -> tuple[Hyperparameter, ...]:
        """The hyperparameters that `rftConfig.hyperParameters` accepts."""
        return tuple((self.entry.reinforcement or {}).values())

    def limits(self, customization: str) -> Limits | None:
        """The data limits of a job of this customizationType; None if they are unknown."""
        return self.entry.limits_of(customization_words[customization])

    def taught_by(self, teacher: Foundation) -> bool:
        """Whether the other model can be its teacher in a distillation job."""
        return teacher.entry.name in self.entry.teachers

    def here(self, region: str) -> bool:
        """Whether it is listed in a region. Inference ids are listed in every region."""
        return not self.trainable or region in self.offering.regions


@cache
def foundations() -> Mapping[str, Foundation]:
    """Every foundation model of the catalogue by its id, in the catalogue's order."""
    found: dict[str, Foundation] = {}
    for entry in bedrock_entries():
        offering = entry.on(platform_name)
        if offering.training_id is not None and not offering.untrained_because:
            found[offering.training_id] = Foundation(offering.training_id, entry, trainable=True)
        plain = profile_prefix.sub("", offering.inference_id)
        # Some models have one id for both uses; then the customizable variant stays.
        found.setdefault(plain, Foundation(plain, entry, trainable=False))
    return found


@cache
def profiles() -> Mapping[str, Foundation]:
    """The inference model of every system inference profile in the catalogue, by profile id."""
    found: dict[str, Foundation] = {}
    for entry in bedrock_entries():
        offering = entry.on(platform_name)
        for each in offering.ids:
            if profile_prefix.match(each):
                found[each] = foundations()[profile_prefix.sub("", offering.inference_id)]
    return found


@cache
def bedrock_entries() -> tuple[BaseModelEntry, ...]:
    """The entries of models that are available on Bedrock."""
    entries = map(BASE_MODELS.get, BASE_MODELS.names())
    return tuple(entry for entry in entries if platform_name in entry.platforms)


def find_foundation(identifier: str, region: str) -> Foundation | None:
    """The foundation model with this id or ARN in a region; None if there is none."""
    arn = foundation_model_arn.fullmatch(identifier)
    if arn is not None and arn["region"] != region:
        return None
    found = foundations().get(arn["id"] if arn else identifier)
    return found if found is not None and found.here(region) else None


def find_profile(identifier: str) -> Foundation | None:
    """The inference model of the inference profile with this id or ARN; None if there is none."""
    arn = profile_arn.fullmatch(identifier)
    return profiles().get(arn["id"] if arn else identifier)


def find_teacher(identifier: str, region: str) -> Foundation | None:
    """The model that a distillation job names as its teacher, if it may be invoked that way; else None."""
    # Some teachers can be invoked only through a profile, some only on demand: each name must fit its model.
    profile, plain = find_profile(identifier), find_foundation(identifier, region)
    if profile is not None:
        return profile if "profile" in profile.offering.teacher_invocation else None
    return plain if plain is not None and "on_demand" in plain.offering.teacher_invocation else None
