"""The interface of exporters: an exporter writes an application's configuration for a finished model.

To add one, write one file here with one subclass of `Exporter`; the file's name is its name in YAML.
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
"""How an application calls the model: a folder that is served over HTTP, or a Bedrock model by its ARN."""


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an application needs to know about a finished model; no value is hard-coded.

    Values from the base model (see `catalogued`) are None or empty if the base model is not in the catalogue.
    """

    name: str
    """The model's name in the application: the experiment's name, unless the user chose another."""
    experiment: str = ""
    """The experiment that made the model; '' for a model made elsewhere."""
    project: str = ""
    uri: str
    """The model to invoke: an ARN, or the path of a model folder relative to the workspace."""
    platform: str
    """The platform that serves it: `bedrock`, `local`."""
    region: str | None = None
    deployment_kind: str | None = None
    """The kind of deployment: `on_demand`, `provisioned`; None where no deployment is needed."""
    base_model: str
    """A catalogue name, a folder, or '' for an imported model whose base is unknown."""
    base_title: str = ""
    """The base model's display name."""
    base_inference_id: str | None = None
    """The id for calls to the base model."""
    training_api: str | None = None
    """The API that customizes the base model: `bedrock`, `openai_compatible`, `local`."""
    layout: str
    """The format it was trained in, and therefore expects prompts in; '' when unknown."""
    system: str
    """The system prompt it was trained with; '' for none."""
    parameters: int | None = None
    """The number of weights, where known."""
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    inputs: tuple[str, ...] = ()
    """The modalities of a prompt: text, image, video, document."""
    outputs: tuple[str, ...] = ()
    """The modalities of an answer."""
    capabilities: tuple[str, ...] = ()
    """The base model's capabilities, in the catalogue's terms: tools, streaming, reasoning."""
    input_usd_per_million_tokens: float | None = None
    output_usd_per_million_tokens: float | None = None
    usd_per_hour: float | None = None
    """The price of one model unit of provisioned throughput without commitment, instead of token prices."""
    digest: str = ""
    """SHA-256 of the model artifact."""

    @property
    def invocation(self) -> Invocation:
        """How to invoke `uri`, derived from its form so that exporters need not know platform names."""
        if not self.uri.startswith("arn:"):
            return "folder"
        return "imported_model" if ":imported-model/" in self.uri else "deployment"


def catalogued(config: ModelConfig, entry: BaseModelEntry) -> ModelConfig:
    """The configuration completed with facts from its base model's catalogue entry."""
    # The catalogue lists modalities among the capabilities, as `image_input`; text is never listed.
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
    # Provisioned throughput is billed by the hour: token prices beside it would be counted twice.
    if config.deployment_kind == "provisioned":
        return msgspec.structs.replace(known, usd_per_hour=entry.prices.provisioned_usd_per_hour)
    return msgspec.structs.replace(
        known,
        input_usd_per_million_tokens=per_million(entry.prices.custom_input_usd_per_1k_tokens),
        output_usd_per_million_tokens=per_million(entry.prices.custom_output_usd_per_1k_tokens),
    )


class Exporter(ABC):
    """Writes one kind of application configuration; stateless except for the chosen options."""

    version: ClassVar[int] = 1
    """Raise it when the same spec would give another configuration: it is in the keys of steps with it."""
    extension: ClassVar[str]
    """The file extension with the dot: '.ts'."""
    options: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    """The options and their allowed values, the default first."""

    def __init__(self, chosen: Mapping[str, str] = MappingProxyType({})) -> None:
        """`chosen` sets options of this exporter; the others have their defaults."""
        self.chosen = {name: values[0] for name, values in self.options.items()} | dict(chosen)

    @abstractmethod
    def render(self, config: ModelConfig) -> str:
        """Render the whole file, newline-terminated, with every value escaped for its language."""


EXPORTERS: Family[Exporter] = Family("exporters", "exporter", Exporter)


def option_problems(exporter: str, chosen: Mapping[str, str]) -> list[FieldProblem]:
    """The problems of the options chosen for an exporter, by `options.<name>`."""
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
