"""Prices: the sourced ones, and a user's own in their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from polytune.base_models.interface import BASE_MODELS
from polytune.data.prices import prices_of
from polytune.errors import UsageError
from polytune.settings import Settings
from polytune.steps.train import training_estimate
from tests.messages import message


def settings(tmp_path: Path, text: str) -> Settings:
    """Settings that name a file of prices with that text."""
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    return Settings(environment={"POLYTUNE_PRICES": str(path)})


def test_without_a_file_the_catalogue_s_prices_hold() -> None:
    """No file: what the entry says, None included."""
    for name in ("nova-lite", "tiny-llama"):
        assert prices_of(BASE_MODELS.get(name), Settings()) == BASE_MODELS.get(name).prices


def test_a_stated_price_takes_its_place(tmp_path: Path) -> None:
    """Stated prices replace those of that model, by name or id; all others stay."""
    stated = settings(tmp_path, "amazon.nova-lite-v1:0: {training_usd_per_1k_tokens: 0.002}")
    lite = prices_of(BASE_MODELS.get("nova-lite"), stated)
    assert lite is not None

    assert (lite.training_usd_per_1k_tokens, lite.input_usd_per_1k_tokens) == (0.002, 0.00006)
    assert prices_of(BASE_MODELS.get("nova-pro"), stated) == BASE_MODELS.get("nova-pro").prices


def test_an_estimate_uses_it(tmp_path: Path) -> None:
    """A price of one's own turns an unknown estimate into dollars, a quarter either way."""
    lite = BASE_MODELS.get("nova-lite")
    stated = settings(tmp_path, "nova-lite: {training_usd_per_1k_tokens: 0.002}")

    unknown = training_estimate(lite, 1_000_000, 2, Settings())
    known = training_estimate(lite, 1_000_000, 2, stated)

    assert (unknown.tokens, unknown.usd_high) == (2_000_000, None)
    assert (known.tokens, known.usd_low, known.usd_high) == (2_000_000, 3.0, 5.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", message("data/expected-base-models")),
        ("nova-lit: {}", message("data/unknown-base-model", model="nova-lit", suggestion="nova-lite")),
        ("nova-lite: 3", message("data/expected-prices-as-in", name="training_usd_per_1k_tokens")),
        ("nova-lite: {training: 3}", "nova-lite: unknown price 'training'"),
        (
            "nova-lite: {training_usd_per_1k_tokens: cheap}",
            message("data/price-is-not-in-dollars", name="training_usd_per_1k_tokens", name2="cheap"),
        ),
        ("nova-lite: {training_usd_per_1k_tokens: -1}", message("data/expected-us-dollars", name="-1")),
        ("nova-lite: {training_usd_per_1k_tokens: true}", message("data/expected-us-dollars", name="True")),
        ("nova-lite: {training_usd_per_1k_tokens: .inf}", message("data/expected-us-dollars", name="inf")),
        ("a: [", "line 1"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path: Path, text: str, message: str) -> None:
    """The error names the variable, the file and what is wrong in it."""
    with pytest.raises(UsageError, match=r"^POLYTUNE_PRICES: .*prices\.yaml: ") as failed:
        prices_of(BASE_MODELS.get("nova-lite"), settings(tmp_path, text))
    assert message in str(failed.value)


def test_a_missing_file_is_an_error_too(tmp_path: Path) -> None:
    """A path that leads nowhere is said, not passed over."""
    with pytest.raises(UsageError, match=r"nowhere\.yaml: .*No such file"):
        prices_of(
            BASE_MODELS.get("nova-lite"),
            Settings(environment={"POLYTUNE_PRICES": str(tmp_path / "nowhere.yaml")}),
        )
