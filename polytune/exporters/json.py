"""json: the model configuration as one JSON object, keys sorted."""

from __future__ import annotations

import msgspec

from polytune.exporters.interface import Exporter, ModelConfig


class JsonExporter(Exporter):
    """Every field of the configuration; null where a fact is unknown."""

    extension = ".json"

    def render(self, config: ModelConfig) -> str:
        """The object, indented by two."""
        encoded = msgspec.json.encode(config, order="sorted")
        return msgspec.json.format(encoded, indent=2).decode() + "\n"
