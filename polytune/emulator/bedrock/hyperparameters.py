"""Hyperparameters of a job: checked against the catalogue, defaults merged in, echoed as the service does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from polytune.base_models.interface import Hyperparameter
from polytune.emulator.bedrock.call import invalid


def effective(known: Iterable[Hyperparameter], given: Mapping[str, str]) -> dict[str, str]:
    """The given values and the defaults of the others, as texts. Raises EmulatedError for a wrong one."""
    by_name = {each.api_name: each for each in known}
    for name in given:
        if name not in by_name:
            taken = ", ".join(sorted(by_name)) or "none"
            raise invalid(f"The provided hyperparameter {name} is not supported. Supported: {taken}.")
    merged: dict[str, str] = {}
    for name, each in sorted(by_name.items()):
        if name in given:
            merged[name] = _checked(each, given[name])
        elif each.required:
            raise invalid(f"The hyperparameter {name} is required.")
        elif each.default is not None:
            merged[name] = _text(each.default, whole=each.whole)
    return merged


def effective_numbers(known: Iterable[Hyperparameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """The given values and the defaults of the others, as native values; ranges are the API model's."""
    defaults = {each.api_name: each.default for each in known if each.default is not None}
    return defaults | dict(given)


def java_double(value: float) -> str:
    """A number as Java writes a double, which is how the service echoes it: `1.0E-4`, `0.005`, `20.0`."""
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(float(value))
    digits, exponent = f"{Decimal(repr(value)):E}".split("E")
    return f"{float(digits)!r}E{int(exponent)}"


def _checked(known: Hyperparameter, text: str) -> str:
    if known.holds(text):
        return text
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or not known.holds(value):
        raise invalid(
            f"The provided value {text} of hyperparameter {known.api_name} is invalid: it must be "
            f"{known.allowed}."
        )
    return _text(value, whole=known.whole)


def _text(value: float | str, *, whole: bool) -> str:
    if isinstance(value, str):
        return value
    return str(int(value)) if whole else java_double(value)
