"""Current Bedrock prices, from AWS's Price List API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from polytune.aws.access import Access
from polytune.errors import PolytuneError

price_list_region = "us-east-1"
"""Its endpoint has the prices of every region (docs.aws.amazon.com/general/latest/gr/billing.html, 2026)."""

usage_types: Mapping[str, str] = {
    "-Customization-Training": "training_usd_per_1k_tokens",
    "-Customization-Storage": "storage_usd_per_month",
    "-input-tokens": "input_usd_per_1k_tokens",
    "-output-tokens": "output_usd_per_1k_tokens",
    "-input-tokens-custom-model": "custom_input_usd_per_1k_tokens",
    "-output-tokens-custom-model": "custom_output_usd_per_1k_tokens",
    "-ProvisionedThroughput-NoCommit-ModelUnits": "provisioned_usd_per_hour",
    "-ProvisionedThroughput-1month-ModelUnits": "provisioned_usd_per_hour_one_month",
    "-1month-ModelUnits": "provisioned_usd_per_hour_one_month",
}
"""The price that a usage type means, by its end: what follows region prefix and family (USE1-NovaLite)."""


def live_prices(access: Access, family: str) -> dict[str, float]:
    """Prices in US dollars of a family such as `NovaMicro` in the Access's region, by the catalogue's names.

    Token prices are per 1,000 tokens, whatever unit the list uses. Empty when the list is unavailable or has
    no such family: a missing price must never fail a run.
    """
    # Few attempts and a short timeout: the caller waits for an estimate that works without these prices.
    pricing = replace(access, region=price_list_region).service(
        "pricing", attempts=2, read_timeout_seconds=10
    )
    wanted = {
        "ServiceCode": "AmazonBedrock",
        "FormatVersion": "aws_v1",
        "Filters": [
            {"Type": "TERM_MATCH", "Field": "regionCode", "Value": access.region},
            {"Type": "CONTAINS", "Field": "usagetype", "Value": f"-{family}-"},
        ],
    }
    prices: dict[str, float] = {}
    try:
        for listed in _listed(pricing.pages("GetProducts", wanted, "PriceList")):
            name = _named(listed, family)
            price = _price(listed)
            if name and price is not None:
                prices[name] = price
    except (PolytuneError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return prices


def _listed(items: Iterator[Any]) -> Iterator[dict[str, Any]]:
    # The API returns each product as a string of JSON.
    for item in items:
        yield json.loads(item) if isinstance(item, str) else item


def _named(listed: Mapping[str, Any], family: str) -> str | None:
    usage = str(listed["product"]["attributes"]["usagetype"])
    _, found, end = usage.partition(f"-{family}-")
    return usage_types.get(f"-{end}") if found else None


def _price(listed: Mapping[str, Any]) -> float | None:
    for offer in listed.get("terms", {}).get("OnDemand", {}).values():
        for dimension in offer["priceDimensions"].values():
            dollars = float(dimension["pricePerUnit"]["USD"])
            # Units vary by model and over time: "1K tokens", "1M tokens", "Million Tokens".
            unit = str(dimension.get("unit", "")).lower()
            millions = "1m" in unit or "million" in unit
            return dollars / 1000 if millions and "token" in unit else dollars
    return None
