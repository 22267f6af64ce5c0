"""json: the model configuration as one JSON object with sorted keys."""

from __future__ import annotations

from polytune.exporters._values import json_file
from polytune.exporters.interface import Exporter, ModelConfig


class JsonExporter(Exporter):
    """Every field of the configuration; null where a fact is unknown."""

    extension = ".json"

    def render(self, config: ModelConfig) -> str:
        """Render the object, indented by two."""
        return json_file(config)
