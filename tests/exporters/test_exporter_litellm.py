"""What litellm writes is one entry of a LiteLLM proxy's model list."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import yaml

from polytune.exporters.interface import EXPORTERS, ModelConfig
from tests.exporters.exporter_samples import deployment, imported, plain, unknown


def entry_of(config: ModelConfig) -> dict[str, Any]:
    """The entry that the file holds."""
    (found,) = yaml.safe_load(EXPORTERS.load("litellm")().render(config))["model_list"]
    entry: dict[str, Any] = found
    return entry


def test_a_deployment_is_asked_through_converse() -> None:
    """The proxy's model is the deployment's ARN on the Converse route, in its region."""
    entry = entry_of(plain)

    assert entry["model_name"] == "strudel-nova-lite-v1"
    assert entry["litellm_params"] == {
        "model": f"bedrock/converse/{deployment}",
        "aws_region_name": "us-east-1",
    }


def test_facts_are_in_litellms_words() -> None:
    """Prices are per token, limits and abilities have the names of LiteLLM's model map."""
    info = entry_of(plain)["model_info"]

    assert {name: value for name, value in info.items() if name != "metadata"} == {
        "mode": "chat",
        "max_tokens": 5000,
        "max_input_tokens": 300_000,
        "max_output_tokens": 5000,
        "input_cost_per_token": 6e-8,
        "output_cost_per_token": 2.4e-7,
        "supports_system_messages": True,
        "supports_native_streaming": True,
        "supports_function_calling": True,
        "supports_reasoning": False,
        "supports_vision": True,
        "supports_video_input": False,
        "supports_pdf_input": False,
    }


def test_prices_that_are_unknown_are_left_out() -> None:
    """LiteLLM takes a stated zero for a free model, so what nobody knows is not stated at all."""
    info = entry_of(msgspec.structs.replace(unknown, context_tokens=2048))["model_info"]

    assert set(info) == {"max_input_tokens", "metadata"}


def test_an_imported_model_takes_openai_messages() -> None:
    """Imported models go the route for OpenAI's messages, which all of them understand."""
    entry = entry_of(msgspec.structs.replace(plain, uri=imported))

    assert entry["litellm_params"]["model"] == f"bedrock/openai/{imported}"


@pytest.mark.parametrize("name", ["mine", "a/b: c"])
def test_a_local_model_waits_for_a_server(name: str) -> None:
    """A model on this machine is looked for where its server's address is stated, and nowhere else."""
    params = entry_of(msgspec.structs.replace(unknown, name=name))["litellm_params"]

    assert params == {"model": f"hosted_vllm/{name}", "api_base": "os.environ/HOSTED_VLLM_API_BASE"}
