"""json: the model configuration as one JSON object, keys sorted."""

from __future__ import annotations

from polytune.exporters._values import json_file
from polytune.exporters.interface import Exporter, ModelConfig


class JsonExporter(Exporter):
    """Every field of the configuration; null where a fact is unknown."""

    extension = ".json"

    def render(self, config: ModelConfig) -> str:
        """The object, indented by two."""
        return json_file(config)
