"""AWS's price list, asked at most once a day by whoever has credentials, and kept for every workspace."""

from __future__ import annotations

import time

import msgspec

from polytune.aws.access import Access
from polytune.aws.pricing import live_prices
from polytune.base_models.interface import BASE_MODELS
from polytune.data.prices import price_list
from polytune.files import write_whole
from polytune.platforms.bedrock.requests import platform_name
from polytune.settings import Settings

kept_seconds = 24 * 3600


def refresh(access: Access, settings: Settings) -> None:
    """The kept list is not older than a day, unless AWS cannot be asked: then nothing changes."""
    path = price_list(settings)
    if path.is_file() and time.time() - path.stat().st_mtime < kept_seconds:
        return
    found: dict[str, dict[str, float]] = {}
    for name in BASE_MODELS.names():
        entry = BASE_MODELS.get(name)
        offering = entry.platforms.get(platform_name)
        if offering and offering.price_family and access.region in offering.regions:
            prices = live_prices(access, offering.price_family)
            if not prices and not found:
                return
            found[name] = prices
    if any(found.values()):
        write_whole(path, msgspec.json.encode({name: prices for name, prices in found.items() if prices}))
