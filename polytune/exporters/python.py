"""python: the model configuration as a frozen dataclass instance in an importable module."""

from __future__ import annotations

import msgspec

from polytune.exporters.interface import Exporter, ModelConfig

header = """\
# Model configuration of {name}, written by polytune; change the experiment, not this file.
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelConfig:
"""


class PythonExporter(Exporter):
    """A module that needs only the standard library; values are Python literals."""

    extension = ".py"

    def render(self, config: ModelConfig) -> str:
        """Render the module. The name in its heading is a literal, so the comment never spans two lines."""
        values = msgspec.structs.asdict(config)
        fields = "".join(f"    {name}: {ModelConfig.__annotations__[name]}\n" for name in values)
        arguments = "".join(f"    {name}={value!r},\n" for name, value in values.items())
        return header.format(name=ascii(config.name)) + fields + f"\n\nmodel = ModelConfig(\n{arguments})\n"
