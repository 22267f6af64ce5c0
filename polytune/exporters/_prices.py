"""Prices in the unit that each application counts in, without the digits that float arithmetic adds."""

from __future__ import annotations

from decimal import Decimal


def per_million(usd_per_thousand: float | None) -> float | None:
    """US dollars for a million tokens, from those for a thousand; None stays None."""
    return None if usd_per_thousand is None else float(Decimal(repr(usd_per_thousand)) * 1000)


def per_thousand(usd_per_million: float | None) -> float | None:
    """US dollars for a thousand tokens, from those for a million; None stays None."""
    return None if usd_per_million is None else float(Decimal(repr(usd_per_million)) / 1000)


def per_token(usd_per_million: float | None) -> float | None:
    """US dollars for one token, from those for a million; None stays None."""
    return None if usd_per_million is None else float(Decimal(repr(usd_per_million)) / 1_000_000)
