"""typescript: the model configuration as a constant with its own type, for `tsc --strict`."""

from __future__ import annotations

import re

import msgspec

from polytune.exporters._values import literal
from polytune.exporters.interface import Exporter, ModelConfig


class TypeScriptExporter(Exporter):
    """An ES module without imports: keys in camelCase, values as JSON, which is also TypeScript."""

    extension = ".ts"

    def render(self, config: ModelConfig) -> str:
        """Render the module. The name in its heading is a literal, so the comment never spans two lines."""
        values = msgspec.to_builtins(config)
        fields = "".join(f"  readonly {_camel(name)}: {_type_of(name)};\n" for name in values)
        members = "".join(f"  {_camel(name)}: {literal(value)},\n" for name, value in values.items())
        return (
            f"// Model configuration of {literal(config.name)}, written by polytune;"
            " change the experiment, not this file.\n\n"
            f"export interface ModelConfig {{\n{fields}}}\n\n"
            f"export const model: ModelConfig = {{\n{members}}};\n"
        )


def _camel(name: str) -> str:
    """`input_usd_per_million_tokens` as `inputUsdPerMillionTokens`."""
    return re.sub(r"_([a-z])", lambda found: found.group(1).upper(), name)


def _type_of(name: str) -> str:
    """The TypeScript type of a field of `ModelConfig`, which has strings, numbers and lists of strings."""
    stated = str(ModelConfig.__annotations__[name])
    if stated.startswith("tuple[str"):
        return "readonly string[]"
    written = "string" if stated.startswith("str") else "number"
    return f"{written} | null" if "None" in stated else written
