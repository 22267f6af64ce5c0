"""polychat_ts: a TypeScript module that adds the model to Polychat's API, or the older toolkit's constant.

    shape: model_config_item    the shape that the repository nicholasgriffintn/ai-platform uses today. Put
                                the file into apps/api/src/data-model/models/ and pass its `...ModelConfig`
                                to `mergeModelConfigs` in apps/api/src/lib/providers/models/index.ts.
    shape: model_definition     the constant that the fine-tuning toolkit wrote; no type in Polychat ever had
                                this shape, so the module defines its own.

Neither imports anything, so a file stays valid when the repository moves its types (`~/types`, then the
schemas package). Facts missing from the catalogue are left out, never guessed: Polychat ranks models by
`strengths`, `speed` and similar fields only where somebody set them. Polychat calls Bedrock in us-east-1.
Field names: packages/schemas/src/models.ts of that repository, `modelConfigItemSchema`, read 2026-11-21.
"""

from __future__ import annotations

import re

import msgspec

from polytune.exporters._values import literal, per_thousand
from polytune.exporters.interface import Exporter, ModelConfig
from polytune.spec.model import JsonObject

modalities = ("text", "image", "audio", "video", "pdf", "document", "embedding", "speech")
"""Polychat's modalities that describe a model's input and output, not its strengths."""

item_type = f"""\
type Modality = {" | ".join(f'"{each}"' for each in modalities)};

export interface PolychatModel {{
  matchingModel: string;
  name: string;
  provider: string;
  description: string;
  contextWindow?: number;
  maxTokens?: number;
  costPer1kInputTokens?: number;
  costPer1kOutputTokens?: number;
  modalities?: {{ input: Modality[]; output: Modality[] }};
  multimodal?: boolean;
  supportsAttachments?: boolean;
  supportsDocuments?: boolean;
  supportsStreaming?: boolean;
  supportsToolCalls?: boolean;
  supportsTemperature?: boolean;
  supportsTopP?: boolean;
  bedrockApiOperation?: string;
  bedrockStreamingApiOperation?: string;
}}
"""

definition_type = """\
export interface ModelDefinition {
  id: string;
  name: string;
  provider: string;
  providerId: string;
  capabilities: { chat: boolean; streaming: boolean; tools: boolean };
  pricing: { input: number | null; output: number | null };
  context: number | null;
  tags: string[];
}
"""


class PolychatExporter(Exporter):
    """An ES module without imports, with the model and the system prompt that it was trained with."""

    extension = ".ts"
    options = {"shape": ("model_config_item", "model_definition")}

    def render(self, config: ModelConfig) -> str:
        """Render the module; fields that its shape lacks are comments, one per line."""
        if self.chosen["shape"] == "model_definition":
            return f"{_heading(config)}\n{definition_type}\n{_definition(config)}"
        return f"{_heading(config)}\n{item_type}\n{_item(config)}"


def _heading(config: ModelConfig) -> str:
    # The system prompt is long and has a constant of its own.
    facts = {name: value for name, value in msgspec.to_builtins(config).items() if name != "system"}
    known = "".join(f"//   {name}: {literal(value)}\n" for name, value in facts.items())
    return (
        f"// {literal(config.name)} for Polychat, written by polytune;"
        f" change the experiment, not this file.\n{known}"
    )


def _item(config: ModelConfig) -> str:
    """One entry of Polychat's model map, under the name that requests send as `model`."""
    stated = {name: value for name, value in _item_fields(config).items() if value is not None}
    members = "".join(f"    {name}: {literal(value)},\n" for name, value in stated.items())
    constant = _camel(config.name)
    return (
        f"export const {constant}ModelConfig: Record<string, PolychatModel> = {{\n"
        f"  [{literal(config.name)}]: {{\n{members}  }},\n}};\n\n"
        "// Send it as the system message, or the model is asked in another way than it was trained.\n"
        f"export const {constant}SystemPrompt: string = {literal(config.system)};\n"
    )


def _item_fields(config: ModelConfig) -> JsonObject:
    made = f"{config.base_title or config.base_model or 'A model'}, customized"
    fields: JsonObject = {
        "matchingModel": config.uri,
        "name": _display(config.name),
        "provider": config.platform,
        "description": f"{made} by {config.experiment}" if config.experiment else made,
        "contextWindow": config.context_tokens,
        "maxTokens": config.max_output_tokens,
        "costPer1kInputTokens": per_thousand(config.input_usd_per_million_tokens),
        "costPer1kOutputTokens": per_thousand(config.output_usd_per_million_tokens),
    }
    return {**fields, **_abilities(config), **_operations(config)}


def _abilities(config: ModelConfig) -> JsonObject:
    """The base model's capabilities; empty if the base model is not in the catalogue."""
    if not config.inputs:
        return {}
    taken, given = ([m for m in stated if m in modalities] for stated in (config.inputs, config.outputs))
    return {
        "modalities": {"input": taken, "output": given},
        "multimodal": len(taken) > 1,
        "supportsAttachments": len(taken) > 1,
        "supportsDocuments": "document" in taken,
        "supportsStreaming": "streaming" in config.capabilities,
        "supportsToolCalls": "tools" in config.capabilities,
    }


def _operations(config: ModelConfig) -> JsonObject:
    """How Polychat's Bedrock provider calls the model: Converse, with temperature and top P."""
    if config.invocation == "folder":
        return {}
    # Converse returns text only; image and video models need InvokeModel.
    if config.outputs and "text" not in config.outputs:
        return {"bedrockApiOperation": "invoke"}
    return {
        "supportsTemperature": True,
        "supportsTopP": True,
        "bedrockApiOperation": "converse",
        "bedrockStreamingApiOperation": "converse-stream",
    }


def _definition(config: ModelConfig) -> str:
    value = {
        "id": config.name,
        "name": _display(config.name),
        "provider": config.platform,
        "providerId": config.uri,
        "capabilities": {
            "chat": "text" in config.outputs,
            "streaming": "streaming" in config.capabilities,
            "tools": "tools" in config.capabilities,
        },
        "pricing": {
            "input": per_thousand(config.input_usd_per_million_tokens),
            "output": per_thousand(config.output_usd_per_million_tokens),
        },
        "context": config.context_tokens,
        "tags": [tag for tag in ("custom", config.project, config.base_model) if tag],
    }
    members = "".join(f"  {name}: {literal(each)},\n" for name, each in value.items())
    constant = _snake(config.name)
    return (
        f"export const {constant}Model: ModelDefinition = {{\n{members}}};\n\n"
        f"export const {constant}SystemPrompt: string = {literal(config.system)};\n"
    )


def _display(name: str) -> str:
    """`strudel-nova-pro` as `Strudel Nova Pro`."""
    return " ".join(word[:1].upper() + word[1:] for word in re.split(r"[-_]+", name))


def _camel(name: str) -> str:
    """`strudel-nova-pro` as `strudelNovaPro`; the result can start an identifier for any name."""
    words = re.findall(r"[A-Za-z0-9]+", name)
    joined = "".join(word[0].upper() + word[1:] for word in words)
    # A TypeScript identifier must not start with a digit.
    if not joined or joined[0].isdigit():
        return f"custom{joined}"
    return joined[0].lower() + joined[1:]


def _snake(name: str) -> str:
    """`strudel-nova-pro` as `strudel_nova_pro`, as the toolkit did; a leading digit gets an underscore."""
    joined = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return f"_{joined}" if joined[:1].isdigit() else joined
