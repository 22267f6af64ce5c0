"""Assigns prompts to splits: once, when the prompt first appears, and permanently.

Prompts are placed in file order. A split may take the next prompt if every split can then stay within one
prompt of its share of all prompts so far, whatever comes later. Among these splits one is drawn at random
from the seed and the prompt, weighted towards the splits that lack prompts of the same matrix cell.

So counts are exact (300 prompts at 0.8/0.1/0.1 give 240/30/30), each cell is spread over the splits, no
prompt is in two splits, and a longer file that starts with a shorter one keeps every placement. Inserting or
removing a prompt before the end may change the placement of those after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm

from polytune.data.hashes import stable_hash
from polytune.errors import DataError

draw_bits = 32
all_bits = (1 << 64) - 1


class SplitState:
    """How far each split is from its share, and which splits may take the next prompt."""

    __slots__ = ("after", "counts", "open")

    def __init__(self, counts: tuple[int, ...], open: tuple[int, ...]) -> None:
        self.counts = counts
        """Prompts in each split since all shares were last met exactly."""
        self.open = open
        """The splits that may take the next prompt; never empty."""
        self.after: list[SplitState | None] = [None] * len(counts)
        """The state after placing a prompt in each split, once computed."""


class Shares:
    """The splits' exact shares, and which may take the next prompt; 0.8/0.1/0.1 has 25 states in all."""

    def __init__(self, ratios: Sequence[float]) -> None:
        """Raises DataError unless the ratios are positive and sum to 1."""
        # Via str: the float 0.1 is not exactly a tenth, and its exact fraction would have a huge period.
        exact = [Fraction(str(ratio)) for ratio in ratios]
        if min(exact, default=0) <= 0 or sum(exact) != 1:
            raise DataError(f"split ratios {', '.join(map(str, ratios))}: they must be positive and sum to 1")
        self.period = lcm(*(share.denominator for share in exact))
        self.parts = [int(share * self.period) for share in exact]
        self._states: dict[tuple[int, ...], SplitState] = {}
        self.start = self._state((0,) * len(exact))

    def step(self, state: SplitState, split: int) -> SplitState:
        """The state after placing one more prompt in a split."""
        counts = [count + (index == split) for index, count in enumerate(state.counts)]
        if counts == self.parts:
            # All shares are exact again, so start over: this keeps the number of states small.
            counts = [0] * len(counts)
        state.after[split] = found = self._state(tuple(counts))
        return found

    def _state(self, counts: tuple[int, ...]) -> SplitState:
        found = self._states.get(counts)
        if found is None:
            open = tuple(split for split in range(len(counts)) if self._keeps_quota(counts, split))
            self._states[counts] = found = SplitState(counts, open)
        return found

    def _keeps_quota(self, counts: tuple[int, ...], split: int) -> bool:
        """Whether all splits can stay within one prompt of their shares if this one takes the next prompt."""
        after = [count + (index == split) for index, count in enumerate(counts)]
        placed = sum(after)
        if after[split] > -(-placed * self.parts[split] // self.period):
            return False
        # Look ahead: at every later count, each split must be able to reach the floor of its share.
        for later in range(placed, self.period + 1):
            owed = [
                later * part // self.period - count for part, count in zip(self.parts, after, strict=True)
            ]
            if min(owed) >= 0:
                return True
            if sum(max(0, more) for more in owed) > later - placed:
                return False
        return True


class Placer:
    """Places prompts one after the other."""

    def __init__(self, shares: Shares, seed: int = 0) -> None:
        self.shares = shares
        self._seed = stable_hash(b"polytune.split.v2:%d" % seed) & all_bits
        self._state = shares.start
        self._cells: list[list[int]] = []

    def new_cell(self) -> int:
        """The number of a new matrix cell, which has no prompts yet."""
        self._cells.append([0] * len(self.shares.parts))
        return len(self._cells) - 1

    @property
    def cells(self) -> int:
        """The number of matrix cells so far."""
        return len(self._cells)

    @property
    def counts(self) -> list[int]:
        """The number of prompts in each split."""
        return [sum(column) for column in zip(*self._cells, strict=True)]

    def place(self, cell: int, mark: int) -> int:
        """The split for a new prompt of a cell; drawn from the seed and the prompt's mark."""
        state, held = self._state, self._cells[cell]
        chosen = state.open[0] if len(state.open) == 1 else self._drawn(state.open, held, mark)
        held[chosen] += 1
        self._state = state.after[chosen] or self.shares.step(state, chosen)
        return chosen

    def _drawn(self, candidates: tuple[int, ...], held: list[int], mark: int) -> int:
        """A candidate, weighted by the square of what it lacks in the cell; by share if none lacks any."""
        parts, period = self.shares.parts, self.shares.period
        total = sum(held) + 1
        weights = []
        for split in candidates:
            lack = total * parts[split] - period * held[split]
            # Squared, so that a split far behind in this cell is nearly certain to get the prompt.
            weights.append(lack * lack if lack > 0 else 0)
        whole = sum(weights)
        if not whole:
            weights = [parts[split] for split in candidates]
            whole = sum(weights)
        left = stirred(self._seed ^ mark) * whole >> draw_bits
        for split, weight in zip(candidates, weights, strict=True):
            left -= weight
            if left < 0:
                return split
        raise AssertionError("what is left is below the sum of the weights")


def stirred(bits: int) -> int:
    """32 well-mixed bits from 64 that need not be random: the two rounds of SplitMix64."""
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & all_bits
    return ((bits ^ bits >> 27) * 0x94D049BB133111EB & all_bits) >> draw_bits
