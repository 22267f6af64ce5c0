"""What an exporter is: one way to write down how an application uses a finished model.

Add one by writing one file here with one subclass of `Exporter`; its name in YAML is the file's name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import msgspec

from polytune.registry import Family


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an application needs to know of a finished model; no value is a constant of ours."""

    name: str
    """The experiment's name."""
    uri: str
    """What to invoke: an ARN, or the path of a model folder relative to the workspace."""
    platform: str
    base_model: str
    layout: str
    """The format it was trained in, which is how it expects to be asked."""
    system: str
    """The system prompt it was trained with; '' for none."""
    parameters: int | None = None
    """Weights, where known."""
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    input_usd_per_million_tokens: float | None = None
    output_usd_per_million_tokens: float | None = None
    digest: str = ""
    """SHA-256 of the model artifact."""


class Exporter(ABC):
    """Writes one kind of application configuration; stateless."""

    extension: ClassVar[str]
    """With the dot: '.ts'."""

    @abstractmethod
    def render(self, config: ModelConfig) -> str:
        """The whole file, newline-terminated, every value escaped for its language."""


EXPORTERS: Family[Exporter] = Family("exporters", "exporter", Exporter)
