"""Slot values drawn from a distribution instead of a list.

    tempo: {range: [60, 180]}                         a whole number, each equally likely
    gain: {range: [0.0, 1.0], digits: 1}              a number with one decimal
    length: {normal: [120, 30], clip: [40, 200]}      mean and standard deviation, never outside `clip`
    mood: {weights: {dark: 3, bright: 1}}             three out of four are dark

A list, in contrast, uses each of its values equally often, without chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate
from math import ceil, floor
from statistics import NormalDist
from typing import Annotated

from pydantic import Field

from polytune.prompts.conditions import Value
from polytune.spec.model import Items, Spec

Number = int | float
Pair = Annotated[Items[Number], Field(min_length=2, max_length=2)]
default_digits = 2


class SlotDistribution(Spec):
    """The distribution of a slot's values."""

    range: Pair | None = None
    """Smallest and largest value; all values between them are equally likely."""
    normal: Pair | None = None
    """Mean and standard deviation of a normal distribution."""
    clip: Pair | None = None
    """With `normal`: values outside these two are moved to the nearer one."""
    weights: dict[str, Number] = {}
    """Value -> its frequency relative to the others."""
    digits: Annotated[int, Field(ge=0, le=12)] | None = None
    """Number of decimals; none if the numbers stated here are whole, else 2."""

    def wrong(self) -> Iterator[str]:
        """Yield problems that involve more than one key."""
        kinds = [name for name in ("range", "normal", "weights") if getattr(self, name)]
        if len(kinds) != 1:
            yield f"states {' and '.join(kinds) or 'no values'}; say one of range, normal and weights"
        if self.range and self.range[0] >= self.range[1]:
            yield f"the range {self.range[0]} to {self.range[1]} is empty; write the smaller number first"
        if self.normal and self.normal[1] <= 0:
            yield f"the standard deviation must be above 0, not {self.normal[1]}"
        if self.clip and not self.normal:
            yield "`clip` applies to `normal` only"
        if self.clip and self.clip[0] >= self.clip[1]:
            yield f"the clip {self.clip[0]} to {self.clip[1]} is empty; write the smaller number first"
        if any(weight <= 0 for weight in self.weights.values()):
            yield "a weight must be above 0; remove the value so that it is never drawn"

    def draw(self, chance: float) -> Value:
        """Return the value at a quantile in [0, 1)."""
        if self.weights:
            return self._weighted(chance)
        if self.range:
            low, high = self.range
            if not self.decimals:
                return ceil(low) + int(chance * (floor(high) - ceil(low) + 1))
            return self._rounded(low + chance * (high - low))
        assert self.normal, "a distribution says one of range, normal and weights"
        # inv_cdf is undefined at 0; 1e-12 lies seven standard deviations below the mean.
        found = NormalDist(*self.normal).inv_cdf(max(chance, 1e-12))
        low, high = self.clip or (found, found)
        return self._rounded(min(max(found, low), high))

    def _weighted(self, chance: float) -> str:
        total = sum(self.weights.values())
        for value, reached in zip(self.weights, accumulate(self.weights.values()), strict=True):
            if chance * total < reached:
                return value
        return list(self.weights)[-1]

    @property
    def decimals(self) -> int:
        """Decimals of the numbers drawn."""
        if self.digits is not None:
            return self.digits
        stated = [*(self.range or ()), *(self.normal or ()), *(self.clip or ())]
        return default_digits if any(isinstance(number, float) for number in stated) else 0

    def _rounded(self, number: float) -> Value:
        return round(number, self.decimals) if self.decimals else round(number)


def states_distribution(value: object) -> bool:
    """Whether a value in a prompt file is written as a distribution."""
    if isinstance(value, SlotDistribution):
        return True
    return isinstance(value, Mapping) and bool(value.keys() & {"range", "normal", "weights", "clip"})
