"""What a configuration says of its base model is what the catalogue says, for every base model."""

from __future__ import annotations

import msgspec
import pytest

from polytune.base_models.interface import BASE_MODELS, BaseModelEntry, Prices
from polytune.exporters.interface import ModelConfig, catalogued
from tests.exporters.exporter_samples import unknown


@pytest.fixture(params=BASE_MODELS.names())
def entry(request: pytest.FixtureRequest) -> BaseModelEntry:
    """Each base model of the catalogue."""
    found: BaseModelEntry = BASE_MODELS.get(request.param)
    return found


def test_every_fact_is_the_catalogues(entry: BaseModelEntry) -> None:
    """Titles, ids, windows and abilities are the entry's own, and nothing else of the model changes."""
    found = catalogued(unknown, entry)

    assert found.base_title == entry.title
    assert found.base_inference_id == entry.offering.inference_id
    assert found.training_api == entry.offering.training_api
    assert found.context_tokens == entry.context_tokens
    assert found.max_output_tokens == entry.max_output_tokens
    assert found.capabilities == entry.capabilities
    assert ("image" in found.inputs) == ("image_input" in entry.capabilities)
    assert found.inputs[0] == "text"
    assert (found.name, found.uri, found.system) == (unknown.name, unknown.uri, unknown.system)


def test_prices_are_the_custom_models_own(entry: BaseModelEntry) -> None:
    """A price per million tokens is a thousand times the catalogue's; without a price there is none."""
    found = catalogued(unknown, entry)
    prices = entry.prices or Prices()

    for given, stated in (
        (found.input_usd_per_million_tokens, prices.custom_input_usd_per_1k_tokens),
        (found.output_usd_per_million_tokens, prices.custom_output_usd_per_1k_tokens),
    ):
        assert given == (None if stated is None else pytest.approx(stated * 1000))
    assert found.usd_per_hour is None


def _priced() -> BaseModelEntry:
    entry: BaseModelEntry = BASE_MODELS.get("nova-2-lite")
    prices = Prices(custom_input_usd_per_1k_tokens=0.00033, provisioned_usd_per_hour=60.5)
    return msgspec.structs.replace(entry, prices=prices)


def test_provisioned_models_cost_by_the_hour() -> None:
    """Provisioned throughput is paid by the hour, so its configuration has no price per token."""
    provisioned = msgspec.structs.replace(unknown, deployment_kind="provisioned")

    by_hour, by_token = catalogued(provisioned, _priced()), catalogued(unknown, _priced())

    assert (by_hour.usd_per_hour, by_hour.input_usd_per_million_tokens) == (60.5, None)
    assert (by_token.usd_per_hour, by_token.input_usd_per_million_tokens) == (None, 0.33)


def test_models_that_answer_with_something_else_say_so() -> None:
    """A base model that states what it answers with has exactly that for outputs, others have text."""
    entry = msgspec.structs.replace(_priced(), capabilities=("image_input", "image_output"))

    found: ModelConfig = catalogued(unknown, entry)

    assert (found.inputs, found.outputs) == (("text", "image"), ("image",))
    assert catalogued(unknown, _priced()).outputs == ("text",)
