"""Records of several sources in one order that keeps to their weights from the first record on.

By the quota method (Balinski and Young, 1975): among the sources that are not above their exact share, the
next one is whose share the next record would fill first. So every beginning of the mixture holds each
source within one record of its share, and a mixture of more records begins with that of fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import lcm
from random import Random


class Mixture:
    """Which of the sources gives the next record."""

    def __init__(self, weights: Sequence[float] | None, sources: int, seed: int) -> None:
        """Without weights the sources take turns. The seed decides who is first among equals."""
        self.ends_early = weights is not None
        """Whether the mixture ends with the first source that has no more."""
        exact = [Fraction(str(weight)) for weight in weights or [1.0] * sources]
        scale = lcm(*(weight.denominator for weight in exact))
        self._weights = [int(weight * scale) for weight in exact]
        whole = lcm(*self._weights)
        self._distances = [whole // weight for weight in self._weights]
        """How far apart two records of a source are, in parts that are the same for all."""
        self._left = list(range(sources))
        self._rank = list(range(sources))
        Random(f"polytune.mixture.v1:{seed}").shuffle(self._rank)
        self._taken = [0] * sources

    def next(self, has_more: Callable[[int], bool]) -> int | None:
        """The source of the next record, which is asked for whether it has one; None when it is over."""
        while self._left:
            source = self._due()
            if has_more(source):
                self._taken[source] += 1
                return source
            self._left = [] if self.ends_early else [each for each in self._left if each != source]
            self._taken = [0] * len(self._taken)
        return None

    def _due(self) -> int:
        whole = sum(self._weights[each] for each in self._left)
        place = 1 + sum(self._taken[each] for each in self._left)
        due = [each for each in self._left if self._taken[each] * whole < place * self._weights[each]]
        return min(due, key=lambda each: ((self._taken[each] + 1) * self._distances[each], self._rank[each]))
