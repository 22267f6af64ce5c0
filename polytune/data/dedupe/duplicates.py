"""Texts that are the same or nearly so: which to keep, and which belong together.

    texts --exact--> groups with the same characters, case and whitespace aside
          --near---> MinHash candidates, each confirmed by the true likeness of the two texts

`kept` answers for a training file: every text that is dropped is like one that stays. `clusters` answers
for a split: whoever is like somebody in a cluster is in it, so no two clusters hold texts that are alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Literal

from polytune.data.dedupe.shingles import likeness, normalised, windows
from polytune.errors import Unavailable, UsageError
from polytune.extras import install_command

Kind = Literal["exact", "near"]
default_threshold = 0.7
lowest_threshold = 0.5


@dataclass(frozen=True)
class Duplicate:
    """A text that may go."""

    number: int
    """Its place among the texts, from 0."""
    of: int
    """The place of the text that stays for it."""
    likeness: float
    """Shared windows over all windows of both, 0 to 1; 1 when nothing but case and whitespace differs."""


def kept(
    texts: Sequence[str],
    kind: Kind = "near",
    threshold: float = default_threshold,
    *,
    scores: Sequence[float | None] | None = None,
    held_out: int = 0,
) -> list[Duplicate]:
    """The texts that may go, in order, each with one that stays; see `Alike.kept`."""
    return Alike(texts, kind, threshold).kept(scores=scores, held_out=held_out)


def clusters(
    texts: Sequence[str],
    kind: Kind = "near",
    threshold: float = default_threshold,
    *together: Sequence[str],
) -> list[int]:
    """The cluster of each text; see `Alike.clusters`."""
    return Alike(texts, kind, threshold).clusters(*together)


class Alike:
    """Which of some texts are alike; they are read once, and a pair again when it may be alike."""

    def __init__(
        self, texts: Sequence[str], kind: Kind = "near", threshold: float = default_threshold
    ) -> None:
        """Raises Unavailable for `near` without rensa, UsageError for a threshold outside 0.5 to 1."""
        self._texts = texts
        self._threshold = threshold
        self._last = (-1, set[int]())
        if kind == "near":
            if not lowest_threshold <= threshold <= 1:
                raise UsageError(f"threshold {threshold:g}: near-duplicates need one from 0.5 to 1")
            try:
                from polytune.data.dedupe.minhash import Signatures

                signatures = Signatures()
            except ModuleNotFoundError as error:
                what = f"finding near-duplicates needs rensa. Run `{install_command('dedupe', 'rensa')}`."
                raise Unavailable(what) from error
        firsts: dict[bytes, int] = {}
        self._first: list[int] = []
        """For each text the first that equals it, case and whitespace aside: itself, if no earlier does."""
        for number, text in enumerate(texts):
            content = normalised(text)
            first = (
                firsts.setdefault(blake2b(content, digest_size=16).digest(), number) if content else number
            )
            self._first.append(first)
            if kind == "near":
                signatures.add(content if first == number else b"")
        self._signatures = signatures if kind == "near" else None

    @cached_property
    def _candidates(self) -> list[tuple[int, int]]:
        """Pairs of firsts that may be alike."""
        if self._signatures is None:
            return []
        return self._signatures.candidates(self._threshold)

    def _likeness(self, one: int, other: int) -> float:
        if self._last[0] != one:
            self._last = (one, set(windows(self._texts[one])))
        return likeness(self._last[1], set(windows(self._texts[other])))

    def kept(self, *, scores: Sequence[float | None] | None = None, held_out: int = 0) -> list[Duplicate]:
        """The texts that may go, in order; each is like one that stays.

        Of texts that are alike the one with the highest score stays, the first among equals; one without
        a score comes after those with one. The first `held_out` texts are those of another file and stay
        in any case. Empty texts are like no other.
        """
        rank = _ranks(len(self._texts), scores, held_out)
        best: dict[int, int] = {}
        for number, first in enumerate(self._first):
            if first not in best or rank[number] < rank[best[first]]:
                best[first] = number
        stays = self._staying(best, rank, held_out)
        found = []
        for number, first in enumerate(self._first):
            of, alike = stays.get(first, (best[first], 1.0))
            if number >= held_out and of != number:
                found.append(Duplicate(number, of, alike))
        return found

    def _staying(
        self, best: dict[int, int], rank: Sequence[int], held_out: int
    ) -> dict[int, tuple[int, float]]:
        """For each first that goes with all its equals: the text that stays for it, and how alike it is."""
        rivals: dict[int, list[int]] = defaultdict(list)
        for one, other in self._candidates:
            better, worse = (one, other) if rank[best[one]] < rank[best[other]] else (other, one)
            if best[worse] >= held_out:
                rivals[worse].append(better)
        gone: dict[int, tuple[int, float]] = {}
        for worse in sorted(rivals, key=lambda first: rank[best[first]]):
            for better in sorted(rivals[worse], key=lambda first: rank[best[first]]):
                alike = 0.0 if better in gone else self._likeness(worse, better)
                if alike >= self._threshold:
                    gone[worse] = (best[better], round(alike, 4))
                    break
        return gone

    def clusters(self, *together: Sequence[str]) -> list[int]:
        """The cluster of each text, numbered from 0 in the order in which they appear.

        Each of `together` names something of every text, such as its prompt or its seed: texts with the
        same name, if it is not empty, share a cluster whatever they say.
        """
        union = _Union(len(self._texts))
        for number, first in enumerate(self._first):
            union.join(number, first)
        for names in together:
            firsts: dict[str, int] = {}
            for number, name in enumerate(names):
                if name:
                    union.join(number, firsts.setdefault(name, number))
        for one, other in self._candidates:
            if union.root(one) != union.root(other) and self._likeness(one, other) >= self._threshold:
                union.join(one, other)
        numbers: dict[int, int] = {}
        return [numbers.setdefault(union.root(n), len(numbers)) for n in range(len(self._texts))]

    def crossing(self, sides: Sequence[int]) -> int:
        """How many pairs of texts that are alike stand on different sides; a text on side -1 is nowhere.

        Of texts that equal each other only the first on each side is paired with others.
        """
        held: dict[int, set[int]] = defaultdict(set)
        for first, side in zip(self._first, sides, strict=True):
            if side >= 0:
                held[first].add(side)
        crossing = sum(len(found) - 1 for found in held.values())
        for one, other in self._candidates:
            apart = sum(a != b for a in held[one] for b in held[other])
            if apart and self._likeness(one, other) >= self._threshold:
                crossing += apart
        return crossing


def _ranks(count: int, scores: Sequence[float | None] | None, held_out: int) -> Sequence[int]:
    """The place of each text among all in the order in which they would rather stay."""
    if scores is None:
        return range(count)

    def place(number: int) -> tuple[bool, bool, float]:
        score = scores[number]
        return number >= held_out, score is None, -(score or 0.0)

    ranks = [0] * count
    for rank, number in enumerate(sorted(range(count), key=place)):
        ranks[number] = rank
    return ranks


class _Union:
    """Which of some numbers belong together."""

    def __init__(self, count: int) -> None:
        self._above = list(range(count))

    def root(self, number: int) -> int:
        """The least number of its group."""
        above = self._above
        while above[number] != number:
            above[number] = above[above[number]]
            number = above[number]
        return number

    def join(self, one: int, other: int) -> None:
        """The groups of both are one group."""
        first, second = sorted((self.root(one), self.root(other)))
        self._above[second] = first
