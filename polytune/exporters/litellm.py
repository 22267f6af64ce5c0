"""litellm: a `config.yaml` for a LiteLLM proxy that serves the model.

Start it with `litellm --config <file>`; clients then send the model's name to the proxy's OpenAI-compatible
endpoint. To serve several models, merge the lists by hand or with LiteLLM's `include`.

    a deployment on Bedrock     bedrock/converse/<ARN>
    an imported model           bedrock/openai/<ARN>: models imported since November 2025 accept OpenAI's
                                messages, and some of them (Qwen, gpt-oss) do not support Converse
    a model on this machine     hosted_vllm/<name>: serve the folder under that name and set its URL in
                                HOSTED_VLLM_API_BASE

Field names: docs.litellm.ai (proxy/configs, proxy/custom_pricing, proxy/model_management,
providers/bedrock, providers/bedrock_imported, providers/vllm) and `ModelInfoBase` of litellm;
read 2026-11-21.
"""

from __future__ import annotations

import msgspec
import yaml

from polytune.exporters._values import literal, per_token
from polytune.exporters.interface import Exporter, ModelConfig
from polytune.spec.model import JsonObject

abilities = {
    "system_prompt": "supports_system_messages",
    "streaming": "supports_native_streaming",
    "tools": "supports_function_calling",
    "reasoning": "supports_reasoning",
    "image_input": "supports_vision",
    "video_input": "supports_video_input",
    "document_input": "supports_pdf_input",
}
"""LiteLLM's names for the catalogue's capabilities."""
one_line = 1 << 20
"""A line width that no value reaches, so that YAML never folds a system prompt."""


class LiteLLMExporter(Exporter):
    """One entry of `model_list`; `metadata` repeats the whole configuration, the system prompt included."""

    extension = ".yaml"

    def render(self, config: ModelConfig) -> str:
        """Render the file, in ASCII."""
        entry = {
            "model_name": config.name,
            "litellm_params": _call(config),
            "model_info": _info(config),
        }
        text = yaml.safe_dump({"model_list": [entry]}, sort_keys=False, allow_unicode=False, width=one_line)
        heading = f"# {literal(config.name)} for a LiteLLM proxy, written by polytune"
        return f"{heading}; change the experiment, not this file.\n{text}"


def _call(config: ModelConfig) -> JsonObject:
    # LiteLLM resolves `os.environ/NAME` when it starts, so the file holds no address of one machine.
    if config.invocation == "folder":
        return {
            "model": f"hosted_vllm/{config.name}",
            "api_base": "os.environ/HOSTED_VLLM_API_BASE",
        }
    route = "openai" if config.invocation == "imported_model" else "converse"
    region = {"aws_region_name": config.region} if config.region else {}
    return {"model": f"bedrock/{route}/{config.uri}", **region}


def _info(config: ModelConfig) -> JsonObject:
    stated = {
        "mode": "chat" if "text" in config.outputs else None,
        "max_tokens": config.max_output_tokens,
        "max_input_tokens": config.context_tokens,
        "max_output_tokens": config.max_output_tokens,
        "input_cost_per_token": per_token(config.input_usd_per_million_tokens),
        "output_cost_per_token": per_token(config.output_usd_per_million_tokens),
        "metadata": msgspec.to_builtins(config),
    }
    known = {name: value for name, value in stated.items() if value is not None}
    # A capability that is false is a fact; without catalogue facts (`inputs` is empty) nothing is claimed.
    can = {word: name in config.capabilities for name, word in abilities.items()} if config.inputs else {}
    return {**can, **known}
