"""Statistics for paired pass/fail results: a confidence interval and an exact test of the difference."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, sqrt

import msgspec

z_95 = 1.959964
"""The 97.5 % point of the normal distribution: two-sided 95 % intervals."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The comparison of two models on the same prompts."""

    n: int
    """The number of prompts."""
    better: int
    """Prompts that only the second passed."""
    worse: int
    """Prompts that only the first passed."""
    difference: float
    """Second's pass rate minus first's, from -1 to 1."""
    low: float
    """Lower end of the 95 % interval (Bonett and Price's adjusted Wald interval, 2012)."""
    high: float
    p: float
    """p-value of the two-sided exact McNemar test: the probability that the changed prompts split at least
    this unevenly into better and worse if both models were equally good."""


def compare(first: Sequence[bool], second: Sequence[bool]) -> Comparison:
    """The paired comparison of two equally long lists of verdicts, in the same order."""
    n = len(first)
    better = sum(not a and b for a, b in zip(first, second, strict=True))
    worse = sum(a and not b for a, b in zip(first, second, strict=True))
    low, high = _interval(n, better, worse)
    return Comparison(
        n=n,
        better=better,
        worse=worse,
        difference=round((better - worse) / n, 6) if n else 0.0,
        low=round(low, 6),
        high=round(high, 6),
        p=round(_mcnemar(better, worse), 6),
    )


def _interval(n: int, better: int, worse: int) -> tuple[float, float]:
    # The adjustment adds two prompts, one won by each model. Unlike the plain Wald interval this one keeps
    # its coverage for small n, and has a width even if no prompt changed.
    up, down = (better + 1) / (n + 2), (worse + 1) / (n + 2)
    half = z_95 * sqrt((up + down - (up - down) ** 2) / (n + 2))
    return max(-1.0, up - down - half), min(1.0, up - down + half)


def _mcnemar(better: int, worse: int) -> float:
    # Exact, not the chi-square approximation: test splits are small, and few prompts change.
    changed = better + worse
    tail: int = sum(comb(changed, k) for k in range(min(better, worse) + 1))
    return min(1.0, float(2 * tail / 2**changed))
