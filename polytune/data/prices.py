"""Effective prices: the catalogue's, overridden by AWS's price list, overridden by the user's file.

    # the file that POLYTUNE_PRICES names
    nova-lite: {training_usd_per_1k_tokens: 0.002}

Prices are settings, not part of an experiment: they change estimates but no outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import yaml

from polytune.base_models.interface import BaseModelEntry, Prices, name_of
from polytune.errors import PolytuneError, UsageError, did_you_mean
from polytune.settings import Settings

variable = "POLYTUNE_PRICES"
fields = tuple(field.name for field in msgspec.structs.fields(Prices))


def prices_of(entry: BaseModelEntry, settings: Settings) -> Prices | None:
    """Prices in US dollars; None where nothing is charged.

    Raises UsageError, with the file and the problem, when the user's price file is not valid.
    """
    path = settings.environment.get(variable)
    stated = _stated(Path(path).expanduser()).get(entry.name) if path else None
    known = {**_listed(settings).get(entry.name, {}), **(stated or {})}
    return msgspec.structs.replace(entry.prices or Prices(), **known) if known else entry.prices


def price_list(settings: Settings) -> Path:
    """The cached copy of AWS's price list, by base model; written once it was fetched with credentials."""
    return settings.cache_folder / "prices" / "bedrock.json"


def _listed(settings: Settings) -> dict[str, dict[str, float]]:
    """The cached AWS prices; empty when there is no readable cache."""
    try:
        return msgspec.json.decode(price_list(settings).read_bytes(), type=dict[str, dict[str, float]])
    except (OSError, msgspec.DecodeError):
        return {}


def _stated(path: Path) -> dict[str, dict[str, float]]:
    """The user's prices, by base model."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _bad(path, " ".join(str(error).split())) from error
    if not isinstance(content, dict):
        raise _bad(path, "expected base models, each with its prices")
    return {_name(path, name): _prices(path, name, prices) for name, prices in content.items()}


def _name(path: Path, name: object) -> str:
    try:
        return name_of(str(name))
    except PolytuneError as error:
        raise _bad(path, str(error)) from error


def _prices(path: Path, name: object, stated: object) -> dict[str, float]:
    if not isinstance(stated, Mapping):
        raise _bad(path, f"{name}: expected prices, as in {fields[0]}: 0.002")
    found = {}
    for field, value in stated.items():
        if field not in fields:
            raise _bad(path, f"{name}: unknown price '{field}'.{did_you_mean(str(field), fields)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise _bad(path, f"{name}: {field}: expected US dollars, found '{value}'")
        found[field] = float(value)
    return found


def _bad(path: Path, what: str) -> UsageError:
    return UsageError(f"{variable}: {path}: {what}")
