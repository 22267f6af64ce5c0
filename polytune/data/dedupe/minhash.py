"""Finds pairs of texts that may be similar without comparing all pairs: banded MinHash; needs rensa.

    windows of a text -> 128 minima, its signature -> bands of some minima -> pairs that agree in a band

Two texts with likeness j agree in one minimum with probability j, and in a band of r minima with probability
j to the power of r. Rows and bands are chosen so that a pair at the threshold is found with probability 0.98
or more, and one with a higher likeness almost always. False positives are dropped when the actual likeness
is computed. A signature takes 512 bytes; an empty text is not similar to any other.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator, Sequence
from itertools import chain, combinations, compress
from math import ceil, log
from operator import eq, ne

from rensa import RMinHash

from polytune.data.dedupe.shingles import windows_of

minima = 128
seed = 17
texts_at_a_time = 2000
pair_columns = minima // 2
"""Minima are compared in pairs, as 64-bit numbers: half as many to hash."""
most_bands = 64
missed_at_threshold = 0.02
compared_minima = 48
"""Minima of two signatures that are compared before their texts are, which costs far more."""
most_neighbours = 32
"""Where many texts agree in a band, each is paired with this many of them, and with the first."""


class Signatures:
    """The signatures of texts, in order."""

    def __init__(self) -> None:
        self._minima = array("I")
        self._empty: set[int] = set()
        self._windows, self._ends = array("Q"), array("Q", [0])

    def __len__(self) -> int:
        return len(self._minima) // minima + len(self._ends) - 1

    def add(self, content: bytes) -> None:
        """The normalised text has been added."""
        found = windows_of(content)
        if not found:
            self._empty.add(len(self))
            # A window of its own: without one, all empty texts would be candidates in every band.
            found.append(len(self))
        self._windows.extend(found)
        self._ends.append(len(self._windows))
        if len(self._ends) > texts_at_a_time:
            self._sign()

    def _sign(self) -> None:
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(self._windows, self._ends, minima, seed)
        self._minima.extend(chain.from_iterable(matrix.to_rows()))
        self._windows, self._ends = array("Q"), array("Q", [0])

    def candidates(self, threshold: float) -> list[tuple[int, int]]:
        """Pairs (one, other) with one < other whose likeness may reach the threshold, sorted."""
        if len(self._ends) > 1:
            self._sign()
        rows, bands = shape_of(threshold)
        found: set[tuple[int, int]] = set()
        columns = array("Q", self._minima.tobytes())
        for band in _bands(rows // 2, bands):
            found.update(self._agreeing([columns[column::pair_columns] for column in band]))
        return sorted(pair for pair in found if self._may_reach(pair, threshold))

    def _agreeing(self, columns: Sequence[array[int]]) -> Iterator[tuple[int, int]]:
        keys = list(map(hash, zip(*columns, strict=True)))
        numbers = range(len(keys))
        # Most keys occur once. `last` finds those that do not at C speed, before any grouping in Python.
        last = dict(zip(keys, numbers, strict=True))
        groups: dict[int, list[int]] = {}
        for number in compress(numbers, map(ne, map(last.__getitem__, keys), numbers)):
            groups.setdefault(keys[number], []).append(number)
        for key, group in groups.items():
            group.append(last[key])
            yield from _paired(group)

    def _may_reach(self, pair: tuple[int, int], threshold: float) -> bool:
        one, other = pair
        if one in self._empty or other in self._empty:
            return False
        first = self._minima[one * minima : one * minima + compared_minima]
        second = self._minima[other * minima : other * minima + compared_minima]
        # Four standard deviations below the expected agreement of a pair at the threshold.
        least = threshold - 4 * (threshold * (1 - threshold) / compared_minima) ** 0.5
        return bool(sum(map(eq, first, second)) >= least * compared_minima)


def shape_of(threshold: float) -> tuple[int, int]:
    """Minima per band, and bands: the largest bands that find a pair at the threshold often enough."""
    # Larger bands give fewer false candidates.
    for rows in (8, 6, 4):
        bands = ceil(log(missed_at_threshold) / log(1 - threshold**rows)) if threshold < 1 else 1
        if bands <= most_bands:
            return rows, max(bands, pair_columns // rows)
    return 2, most_bands


def _bands(size: int, count: int) -> list[list[int]]:
    """`count` bands of `size` columns each, which use every column about equally often."""
    dice = random.Random(seed)
    bands: list[list[int]] = []
    while len(bands) < count:
        columns = list(range(pair_columns))
        dice.shuffle(columns)
        bands += [columns[at : at + size] for at in range(0, pair_columns - size + 1, size)]
    return bands[:count]


def _paired(group: Sequence[int]) -> Iterator[tuple[int, int]]:
    # All pairs of a large group would be quadratic; the first member links all of them.
    if len(group) <= most_neighbours:
        yield from combinations(group, 2)
        return
    for at, number in enumerate(group):
        for other in group[at + 1 : at + 1 + most_neighbours]:
            yield number, other
        if at:
            yield group[0], number
