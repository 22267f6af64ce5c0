"""What training will cost, as far as sourced prices say."""

from __future__ import annotations

from polytune.base_models.interface import BaseModelEntry
from polytune.data.prices import prices_of
from polytune.engine.step import Estimate
from polytune.settings import Settings

unknown = "price unknown: no sourced training price for {}; POLYTUNE_PRICES may state one"
token_error = 0.25
"""Assumed relative error of a token count estimated from characters."""


def training_estimate(
    entry: BaseModelEntry, tokens: int | None, epochs: float | None, settings: Settings
) -> Estimate:
    """Tokens times epochs times the price; with a note where a part of that is unknown.

    Raises UsageError when the user's own file of prices is none.
    """
    trained = None if tokens is None or epochs is None else round(tokens * epochs)
    prices = prices_of(entry, settings)
    if prices is None:
        return Estimate(tokens=trained, usd_low=0.0, usd_high=0.0, note="on this machine")
    price = prices.training_usd_per_1k_tokens
    if price is None:
        return Estimate(tokens=trained, note=unknown.format(entry.name))
    if trained is None:
        return Estimate(note=f"${price:g} per 1,000 tokens and epoch; the dataset is not there yet")
    usd = trained / 1000 * price
    return Estimate(
        tokens=trained,
        usd_low=round(usd * (1 - token_error), 2),
        usd_high=round(usd * (1 + token_error), 2),
    )
