"""Choices that follow from a seed text alone, the same on every Python version and machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """An endless sequence of choices; two dice with one seed choose alike."""

    def __init__(self, seed: str) -> None:
        self._numbers = _numbers(seed.encode())

    def below(self, sides: int) -> int:
        """A number from 0 to sides - 1."""
        return next(self._numbers) % sides

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.below(len(options))]

    def some(self, options: Sequence[T], amount: int) -> list[T]:
        """Up to `amount` different options, in their own order."""
        left = list(range(len(options)))
        while len(left) > amount:
            left.pop(self.below(len(left)))
        return [options[index] for index in left]


def _numbers(seed: bytes) -> Iterator[int]:
    """32-bit numbers from SHA-256 of the seed and a counter."""
    block = 0
    while True:
        digest = hashlib.sha256(seed + block.to_bytes(4, "big")).digest()
        for start in range(0, len(digest), 4):
            yield int.from_bytes(digest[start : start + 4], "big")
        block += 1
