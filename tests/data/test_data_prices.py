"""Prices: the sourced ones, and a user's own in their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from polytune.base_models.interface import BASE_MODELS
from polytune.data.prices import prices_of
from polytune.errors import UsageError
from polytune.settings import Settings
from polytune.steps.train import training_estimate


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
        ("- a", "expected base models, each with its prices"),
        ("nova-lit: {}", "unknown base model 'nova-lit'. Did you mean 'nova-lite'"),
        ("nova-lite: 3", "nova-lite: expected prices, as in training_usd_per_1k_tokens: 0.002"),
        ("nova-lite: {training: 3}", "nova-lite: unknown price 'training'"),
        (
            "nova-lite: {training_usd_per_1k_tokens: cheap}",
            "nova-lite: training_usd_per_1k_tokens: expected US dollars, found 'cheap'",
        ),
        ("nova-lite: {training_usd_per_1k_tokens: -1}", "expected US dollars, found '-1'"),
        ("nova-lite: {training_usd_per_1k_tokens: true}", "expected US dollars, found 'True'"),
        ("nova-lite: {training_usd_per_1k_tokens: .inf}", "expected US dollars, found 'inf'"),
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
