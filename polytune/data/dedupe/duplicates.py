"""Exact and near duplicates among texts: which to keep, and which belong together.

    texts --exact--> groups with the same characters, ignoring case and whitespace
          --near---> MinHash candidates, each confirmed by the actual similarity of the two texts

`kept` is for deduplicating a file: every text that is dropped is similar to one that is kept. `clusters` is
for splitting one: a text that is similar to any text in a cluster is in that cluster, so no two clusters
contain similar texts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from importlib.util import find_spec
from typing import Literal

from polytune.data.dedupe.shingles import likeness, normalised, windows
from polytune.errors import Obstacle, Unavailable, UsageError
from polytune.extras import install_command

Kind = Literal["exact", "near"]
default_threshold = 0.7
# Below 0.5 the MinHash bands would have to be so short that most pairs become candidates.
lowest_threshold = 0.5


@dataclass(frozen=True)
class Duplicate:
    """A text that can be dropped."""

    number: int
    """Its index among the texts, from 0."""
    of: int
    """The index of the text that is kept in its place."""
    likeness: float
    """Shared windows divided by all windows of both, 0 to 1; 1 when only case and whitespace differ."""


def kept(
    texts: Sequence[str],
    kind: Kind = "near",
    threshold: float = default_threshold,
    *,
    scores: Sequence[float | None] | None = None,
    held_out: int = 0,
) -> list[Duplicate]:
    """The texts that can be dropped, in order, each with one that is kept; see `Alike.kept`."""
    return Alike(texts, kind, threshold).kept(scores=scores, held_out=held_out)


def clusters(
    texts: Sequence[str],
    kind: Kind = "near",
    threshold: float = default_threshold,
    *together: Sequence[str],
) -> list[int]:
    """The cluster of each text; see `Alike.clusters`."""
    return Alike(texts, kind, threshold).clusters(*together)


library = "rensa"


def lacking_for(kind: str) -> Obstacle | None:
    """Return what finding duplicates of that kind needs and this machine does not have."""
    return _lacks_library() if kind == "near" and find_spec(library) is None else None


def _lacks_library() -> Obstacle:
    remedy = f"Run `{install_command('dedupe', library)}`"
    return Obstacle(f"finding near-duplicates needs {library}", remedy)


class Alike:
    """Finds similar texts; reads every text once, and a pair again when it may be similar."""

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
                # Imported here: rensa belongs to an extra, and exact duplicates need no signatures.
                from polytune.data.dedupe.minhash import Signatures

                signatures = Signatures()
            except ModuleNotFoundError as error:
                raise Unavailable(str(_lacks_library())) from error
        firsts: dict[bytes, int] = {}
        self._first: list[int] = []
        """For each text the first one equal to it, ignoring case and whitespace; itself if there is none."""
        for number, text in enumerate(texts):
            content = normalised(text)
            first = (
                firsts.setdefault(blake2b(content, digest_size=16).digest(), number) if content else number
            )
            # A repeated text is signed as empty, and so is never a candidate: its first represents it.
            self._first.append(first)
            if kind == "near":
                signatures.add(content if first == number else b"")
        self._signatures = signatures if kind == "near" else None

    @cached_property
    def _candidates(self) -> list[tuple[int, int]]:
        """Pairs of firsts that may be similar."""
        if self._signatures is None:
            return []
        return self._signatures.candidates(self._threshold)

    def _likeness(self, one: int, other: int) -> float:
        # Candidates are sorted, so the same text often comes several times in a row.
        if self._last[0] != one:
            self._last = (one, set(windows(self._texts[one])))
        return likeness(self._last[1], set(windows(self._texts[other])))

    def kept(self, *, scores: Sequence[float | None] | None = None, held_out: int = 0) -> list[Duplicate]:
        """The texts that can be dropped, in order; each is similar to one that is kept.

        Of similar texts the one with the highest score is kept, the first one on a tie; texts without a score
        rank below those with one. The first `held_out` texts belong to another file and are always kept.
        Empty texts are not similar to any other.
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
        """For each first that is dropped with all its equals: the text kept instead, and their likeness."""
        rivals: dict[int, list[int]] = defaultdict(list)
        for one, other in self._candidates:
            better, worse = (one, other) if rank[best[one]] < rank[best[other]] else (other, one)
            if best[worse] >= held_out:
                rivals[worse].append(better)
        # Best first: a text may be dropped only for one that is kept, so better ones are decided before it.
        gone: dict[int, tuple[int, float]] = {}
        for worse in sorted(rivals, key=lambda first: rank[best[first]]):
            for better in sorted(rivals[worse], key=lambda first: rank[best[first]]):
                alike = 0.0 if better in gone else self._likeness(worse, better)
                if alike >= self._threshold:
                    gone[worse] = (best[better], round(alike, 4))
                    break
        return gone

    def clusters(self, *together: Sequence[str]) -> list[int]:
        """The cluster of each text, numbered from 0 in order of appearance.

        Each of `together` has one name per text, such as its prompt or its seed: texts with the same name
        that is not empty share a cluster whatever their content.
        """
        union = _Union(len(self._texts))
        for number, first in enumerate(self._first):
            union.join(number, first)
        for names in together:
            firsts: dict[str, int] = {}
            for number, name in enumerate(names):
                if name:
                    union.join(number, firsts.setdefault(name, number))
        # Pairs that are in one cluster already need no comparison: that saves most of them.
        for one, other in self._candidates:
            if union.root(one) != union.root(other) and self._likeness(one, other) >= self._threshold:
                union.join(one, other)
        numbers: dict[int, int] = {}
        return [numbers.setdefault(union.root(n), len(numbers)) for n in range(len(self._texts))]

    def crossing(self, sides: Sequence[int]) -> int:
        """How many pairs of similar texts are on different sides; a text on side -1 is on none.

        Of equal texts only the first one on each side is paired with others.
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
    """The rank of each text; of two similar texts the one with the lower rank is kept."""
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
    """A union-find structure over the numbers from 0."""

    def __init__(self, count: int) -> None:
        self._above = list(range(count))

    def root(self, number: int) -> int:
        """The smallest number in its group."""
        above = self._above
        while above[number] != number:
            above[number] = above[above[number]]
            number = above[number]
        return number

    def join(self, one: int, other: int) -> None:
        """Both numbers are in one group."""
        first, second = sorted((self.root(one), self.root(other)))
        self._above[second] = first
