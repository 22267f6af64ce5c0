"""What an exporter is: one way to write down how an application uses a finished model.

Add one by writing one file here with one subclass of `Exporter`; its name in YAML is the file's name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

import msgspec

from polytune.base_models.interface import BaseModelEntry
from polytune.errors import did_you_mean
from polytune.exporters._values import per_million
from polytune.registry import Family
from polytune.spec.model import FieldProblem

Invocation = Literal["folder", "imported_model", "deployment"]
"""What an application has to ask: a folder that is served over HTTP, or a model of Bedrock by its ARN."""


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an application needs to know of a finished model; no value is a constant of ours.

    What the base model states (see `catalogued`) is None, or empty, for a base that no catalogue knows.
    """

    name: str
    """What the application calls it: the experiment's name, unless a person chose another."""
    experiment: str = ""
    """The experiment that made it; '' for a model made elsewhere."""
    project: str = ""
    uri: str
    """What to invoke: an ARN, or the path of a model folder relative to the workspace."""
    platform: str
    """Where it answers: `bedrock`, `local`."""
    region: str | None = None
    deployment_kind: str | None = None
    """How it is deployed: `on_demand`, `provisioned`; None where no deployment is needed."""
    base_model: str
    """A name of the catalogue, a folder, or '' for an imported model that does not say."""
    base_title: str = ""
    """What people call the base model."""
    base_inference_id: str | None = None
    """What a call names to ask the base model."""
    training_api: str | None = None
    """Through which API models are made from the base: `bedrock`, `openai_compatible`, `local`."""
    layout: str
    """The format it was trained in, which is how it expects prompts; '' when unknown."""
    system: str
    """The system prompt it was trained with; '' for none."""
    parameters: int | None = None
    """Weights, where known."""
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    inputs: tuple[str, ...] = ()
    """What a prompt may hold: text, image, video, document."""
    outputs: tuple[str, ...] = ()
    """What an answer may hold."""
    capabilities: tuple[str, ...] = ()
    """The base model's, in the catalogue's words: tools, streaming, reasoning."""
    input_usd_per_million_tokens: float | None = None
    output_usd_per_million_tokens: float | None = None
    usd_per_hour: float | None = None
    """One model unit of provisioned throughput without commitment, which replaces the prices per token."""
    digest: str = ""
    """SHA-256 of the model artifact."""

    @property
    def invocation(self) -> Invocation:
        """How `uri` is invoked, by its form: an exporter need not know the names of platforms."""
        if not self.uri.startswith("arn:"):
            return "folder"
        return "imported_model" if ":imported-model/" in self.uri else "deployment"


def catalogued(config: ModelConfig, entry: BaseModelEntry) -> ModelConfig:
    """The configuration with what its base model's catalogue entry states."""
    given = tuple(c.removesuffix("_input") for c in entry.capabilities if c.endswith("_input"))
    answered = tuple(c.removesuffix("_output") for c in entry.capabilities if c.endswith("_output"))
    offering = entry.platforms.get(config.platform, entry.offering)
    known = msgspec.structs.replace(
        config,
        base_title=entry.title,
        base_inference_id=offering.inference_id,
        training_api=offering.training_api,
        context_tokens=entry.context_tokens,
        max_output_tokens=entry.max_output_tokens,
        inputs=("text", *given),
        outputs=answered or ("text",),
        capabilities=tuple(entry.capabilities),
    )
    if entry.prices is None:
        return known
    if config.deployment_kind == "provisioned":
        return msgspec.structs.replace(known, usd_per_hour=entry.prices.provisioned_usd_per_hour)
    return msgspec.structs.replace(
        known,
        input_usd_per_million_tokens=per_million(entry.prices.custom_input_usd_per_1k_tokens),
        output_usd_per_million_tokens=per_million(entry.prices.custom_output_usd_per_1k_tokens),
    )


class Exporter(ABC):
    """Writes one kind of application configuration; stateless but for the options chosen."""

    extension: ClassVar[str]
    """With the dot: '.ts'."""
    options: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    """What a user may choose: the values of each option, the default first."""

    def __init__(self, chosen: Mapping[str, str] = MappingProxyType({})) -> None:
        """`chosen` names options of this exporter; the others take their defaults."""
        self.chosen = {name: values[0] for name, values in self.options.items()} | dict(chosen)

    @abstractmethod
    def render(self, config: ModelConfig) -> str:
        """The whole file, newline-terminated, every value escaped for its language."""


EXPORTERS: Family[Exporter] = Family("exporters", "exporter", Exporter)


def option_problems(exporter: str, chosen: Mapping[str, str]) -> list[FieldProblem]:
    """What is wrong with the options chosen for an exporter, by `options.<name>`."""
    known = EXPORTERS.load(exporter).options
    found = []
    for name, value in chosen.items():
        if name not in known:
            what = f"{exporter} has no option '{name}'.{did_you_mean(name, list(known))}"
            found.append(FieldProblem(f"options.{name}", what if known else f"{exporter} takes no options"))
        elif value not in known[name]:
            choice = " or ".join(known[name])
            found.append(FieldProblem(f"options.{name}", f"'{value}' is no {name} of {exporter}: {choice}"))
    return found
