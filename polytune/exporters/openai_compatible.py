"""openai_compatible: the settings for a client of an OpenAI-compatible endpoint, as JSON.

    client = OpenAI(base_url=found["base_url"], api_key=os.environ[found["api_key_variable"]])
    client.chat.completions.create(**found["request"] | {"messages": found["request"]["messages"] + [...]})

If no such endpoint serves the model, `base_url` is null and `note` says why: polytune starts no server, and
Bedrock's endpoint serves the open-weight models that are trained through it, not models customized from those
of Amazon, Anthropic or Meta.
Source: docs.aws.amazon.com/bedrock/latest/userguide, models-api-compatibility.html and
fine-tuning-openai-apis.html, read 2026-11-21.
"""

from __future__ import annotations

from polytune.exporters._values import json_file
from polytune.exporters.interface import Exporter, ModelConfig

bedrock_address = "https://bedrock-mantle.{region}.api.aws/v1"
"""Source: docs.aws.amazon.com/bedrock/latest/userguide/inference-responses-api.html, read 2026-11-21."""
bedrock_key_variable = "AWS_BEARER_TOKEN_BEDROCK"
"""The environment variable in which AWS's own clients look for a Bedrock API key."""


class OpenAICompatibleExporter(Exporter):
    """The base URL, the start of every request, and the whole configuration."""

    extension = ".json"

    def render(self, config: ModelConfig) -> str:
        """Render the object, indented by two."""
        # The file is written even without an endpoint: `about` and `request` are useful for other clients.
        note = _obstacle(config)
        messages = [{"role": "system", "content": config.system}] if config.system else []
        return json_file(
            {
                "base_url": None if note else bedrock_address.format(region=config.region),
                "api_key_variable": None if note else bedrock_key_variable,
                "note": note or None,
                "request": {"model": config.uri, "messages": messages},
                "about": config,
            }
        )


def _obstacle(config: ModelConfig) -> str:
    """Why no OpenAI-compatible endpoint serves the model; '' when one does."""
    if config.invocation == "folder":
        return (
            f"polytune starts no server on platform {config.platform}: serve the folder that `model` names "
            "with an OpenAI-compatible server and state its address here"
        )
    instead = "use Converse with this `model`, or a proxy: `export: {to: litellm}`"
    if config.invocation == "imported_model":
        return (
            f"Bedrock answers for imported models through InvokeModel, not under an OpenAI address; {instead}"
        )
    if config.training_api != "openai_compatible":
        base = config.base_title or config.base_model or "an unknown base"
        return f"Bedrock's OpenAI-compatible endpoint does not answer for models made from {base}; {instead}"
    return "" if config.region else "the region of the model is not known"
