"""Configurations for the exporters' tests: one plain, and one for each text that could break a language."""

from __future__ import annotations

from typing import Any

import msgspec

from polytune.exporters.interface import ModelConfig

deployment = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/a1b2c3d4e5f6"
imported = "arn:aws:bedrock:us-east-1:123456789012:imported-model/a1b2c3d4e5f6"

plain = ModelConfig(
    name="strudel-nova-lite-v1",
    experiment="strudel-nova-lite-v1",
    project="strudel",
    uri=deployment,
    platform="bedrock",
    region="us-east-1",
    deployment_kind="on_demand",
    base_model="nova-lite",
    base_title="Amazon Nova Lite",
    base_inference_id="amazon.nova-lite-v1:0",
    training_api="bedrock",
    layout="bedrock-conversation-2024",
    system="Reply with code.",
    parameters=920_000,
    context_tokens=300_000,
    max_output_tokens=5000,
    inputs=("text", "image"),
    outputs=("text",),
    capabilities=("system_prompt", "streaming", "tools", "image_input"),
    input_usd_per_million_tokens=0.06,
    output_usd_per_million_tokens=0.24,
    usd_per_hour=1.5,
    digest="0" * 64,
)

unknown = ModelConfig(
    name="mine",
    uri="file:runs/.models/0123456789abcdef",
    platform="local",
    base_model="./models/mine",
    layout="prompt-completion",
    system="",
)
"""A model whose base no catalogue knows."""

hostile = (
    "",
    "'single' \"double\" `tick` ${code}",
    "back\\slash and \\n that is no newline",
    "line one\nline two\r\nline three",
    "*/ alert(1) /* // <!-- --> </script><script>",
    "a\u2028b\u2029c\u0085d\x7fe\ufeff",
    "emoji 🎛️ and 日本語",
    "\0\x07\x1b[31m",
    "__proto__",
    "default",
    "007",
    " - [yes]: {no} # null\n  ---\n...\n",
    "{{ jinja }} %s %(x)s {0}",
)
numbers = (1e-9, None, 0.0, 123456.789)


def hostile_configs() -> list[ModelConfig]:
    """One configuration per hostile text, which stands in every field that takes text."""
    return [
        ModelConfig(
            name=text,
            experiment=text,
            project=text,
            uri=text,
            platform="bedrock" if index % 3 else text,
            region=text,
            deployment_kind=text,
            base_model=text,
            base_title=text,
            base_inference_id=text,
            training_api=text,
            layout=text,
            system=text,
            parameters=None if index % 2 else 134_515_008,
            inputs=(text, "image"),
            outputs=(text,) if index % 2 else ("text", text),
            capabilities=(text, "tools"),
            input_usd_per_million_tokens=numbers[index % len(numbers)],
            digest=text,
        )
        for index, text in enumerate(hostile)
    ]


def as_json(config: ModelConfig) -> dict[str, Any]:
    """The configuration as JSON holds it, where a tuple is a list."""
    return msgspec.json.decode(msgspec.json.encode(config), type=dict[str, Any])
