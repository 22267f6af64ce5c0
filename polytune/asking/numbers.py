"""Numbers that the environment states about how to ask."""

from __future__ import annotations

import math
from collections.abc import Mapping

from polytune.errors import UsageError


def number_above_zero(environment: Mapping[str, str], name: str) -> float | None:
    """The number in a variable; None when it is not set. Raises UsageError when it is none above 0."""
    text = environment.get(name, "")
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise UsageError(f"{name}: '{text}' is not a number above 0")
    return number
