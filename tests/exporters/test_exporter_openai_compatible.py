"""What openai_compatible writes leads a client to an endpoint, or says why there is none."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from polytune.exporters.interface import EXPORTERS, ModelConfig
from tests.exporters.exporter_samples import deployment, imported, plain, unknown
from tests.messages import message

served = msgspec.structs.replace(
    plain, region="us-west-2", base_title="gpt-oss 20B", training_api="openai_compatible"
)


def found_in(config: ModelConfig) -> dict[str, Any]:
    """The object in the file."""
    found: dict[str, Any] = json.loads(EXPORTERS.load("openai_compatible")().render(config))
    return found


def test_a_model_of_the_endpoint_has_its_address() -> None:
    """A model made through Bedrock's OpenAI-compatible API is asked at that API, in its region."""
    found = found_in(served)

    assert found["base_url"] == "https://bedrock-mantle.us-west-2.api.aws/v1"
    assert found["api_key_variable"] == "AWS_BEARER_TOKEN_BEDROCK"
    assert found["note"] is None


def test_requests_start_as_the_model_was_trained() -> None:
    """The request names the model and begins with the system prompt of its training, where it had one."""
    assert found_in(served)["request"] == {
        "model": deployment,
        "messages": [{"role": "system", "content": "Reply with code."}],
    }
    assert found_in(unknown)["request"]["messages"] == []


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (plain, message("exporters/does-not-answer-for-models-made")),
        (unknown, message("exporters/starts-no-server-on-platform-local")),
        (msgspec.structs.replace(served, uri=imported), "imported models"),
        (msgspec.structs.replace(served, region=None), message("exporters/region-of-model-is-not-known")),
    ],
)
def test_no_address_is_invented(config: ModelConfig, reason: str) -> None:
    """Where no endpoint answers for the model, the address is null and the note says why."""
    found = found_in(config)

    assert (found["base_url"], found["api_key_variable"]) == (None, None)
    assert reason in found["note"]
