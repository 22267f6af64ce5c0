"""The emulator's only view of polytune's base-model catalogue: Bedrock's ids, regions and ranges.

training id    amazon.nova-lite-v1:0:300k    customizable, provisionable, never invoked
foundation id  amazon.nova-lite-v1:0         invoked on demand or through a profile
profile id     us.amazon.nova-lite-v1:0      a foundation id behind a geography
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
"""The platform that is emulated, by its name in YAML."""
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
    """Whether it is the customizable variant; the other one is for inference."""

    @property
    def offering(self) -> Offering:
        """What Bedrock offers of it."""
        return self.entry.on(platform_name)

    @property
    def provider(self) -> str:
        """`Amazon`, `Meta`: who made it."""
        prefix = self.model_id.partition(".")[0]
        return providers.get(prefix, prefix.title())

    @property
    def title(self) -> str:
        """`Nova 2 Lite`: its name without its maker's."""
        return self.entry.title.removeprefix(f"{self.provider} ")

    @property
    def customizations(self) -> tuple[str, ...]:
        """What a job may do with it, in the API's words."""
        words = self.entry.customizations if self.trainable else ()
        return tuple(api for api, word in customization_words.items() if word in words)

    @property
    def input_modalities(self) -> tuple[str, ...]:
        """What it reads."""
        words = {"image_input": "IMAGE", "video_input": "VIDEO"}
        drawing = ("image_input",) if image_layout in self.entry.formats else ()
        can = {*self.entry.capabilities, *drawing}
        kinds = [word for capability, word in words.items() if capability in can]
        return ("TEXT", *kinds)

    @property
    def output_modalities(self) -> tuple[str, ...]:
        """What it writes: `EMBEDDING` for embedding models, `IMAGE` for image models."""
        if "embed" in self.model_id:
            return ("EMBEDDING",)
        return ("IMAGE",) if image_layout in self.entry.formats else ("TEXT",)

    @property
    def inference_types(self) -> tuple[str, ...]:
        """How it is invoked: a customizable variant only through provisioned throughput."""
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
        """What `hyperParameters` of a job on it may hold."""
        return tuple((self.entry.hyperparameters or {}).values())

    @property
    def reinforcement(self) -> tuple[Hyperparameter, ...]:
        """What `rftConfig.hyperParameters` may hold."""
        return tuple((self.entry.reinforcement or {}).values())

    def limits(self, customization: str) -> Limits | None:
        """How much data a job of the API's type takes; None where nothing is known."""
        return self.entry.limits_of(customization_words[customization])

    def taught_by(self, teacher: Foundation) -> bool:
        """Whether the other model may be its teacher in a distillation job."""
        return teacher.entry.name in self.entry.teachers

    def here(self, region: str) -> bool:
        """Whether it is listed in a region; inference ids are listed everywhere."""
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
        found.setdefault(plain, Foundation(plain, entry, trainable=False))
    return found


@cache
def profiles() -> Mapping[str, Foundation]:
    """The inference model behind every system inference profile of the catalogue, by the profile's id."""
    found: dict[str, Foundation] = {}
    for entry in bedrock_entries():
        offering = entry.on(platform_name)
        for each in offering.ids:
            if profile_prefix.match(each):
                found[each] = foundations()[profile_prefix.sub("", offering.inference_id)]
    return found


@cache
def bedrock_entries() -> tuple[BaseModelEntry, ...]:
    """The entries of models that Bedrock's own API serves."""
    entries = map(BASE_MODELS.get, BASE_MODELS.names())
    return tuple(entry for entry in entries if platform_name in entry.platforms)


def find_foundation(identifier: str, region: str) -> Foundation | None:
    """The foundation model behind an id or ARN in a region; None when there is none."""
    arn = foundation_model_arn.fullmatch(identifier)
    if arn is not None and arn["region"] != region:
        return None
    found = foundations().get(arn["id"] if arn else identifier)
    return found if found is not None and found.here(region) else None


def find_profile(identifier: str) -> Foundation | None:
    """The inference model behind an inference profile's id or ARN; None when there is none."""
    arn = profile_arn.fullmatch(identifier)
    return profiles().get(arn["id"] if arn else identifier)


def find_teacher(identifier: str, region: str) -> Foundation | None:
    """The model that a distillation job names as its teacher, called as it may be; None for none."""
    profile, plain = find_profile(identifier), find_foundation(identifier, region)
    if profile is not None:
        return profile if "profile" in profile.offering.teacher_invocation else None
    return plain if plain is not None and "on_demand" in plain.offering.teacher_invocation else None
