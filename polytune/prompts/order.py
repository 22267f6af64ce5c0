"""Orders of which every prefix is even: of values, of combinations, and of cells by weight.

Nothing is random. Orders come from hashes of a seed and the values themselves, so they do not depend on the
order in which a file lists the values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import count, cycle
from math import lcm, prod
from typing import TypeVar

from polytune.fingerprint import Json, fingerprint
from polytune.prompts.conditions import Value

T = TypeVar("T", bound=Value)


def balanced_cells(axes: Mapping[str, Sequence[Value]], seed: int) -> list[dict[str, Value]]:
    """Return every cell once, ordered so that any prefix covers each axis evenly; no axes make one cell."""
    ordered = [shuffled(dict.fromkeys(axes[axis]), [seed, "axis", axis]) for axis in axes]
    sizes = [len(values) for values in ordered]
    return [
        {
            axis: values[digit]
            for axis, values, digit in zip(axes, ordered, even_walk(step, sizes), strict=True)
        }
        for step in range(prod(sizes))
    ]


def even_walk(step: int, sizes: Sequence[int]) -> list[int]:
    """Return the combination of digits (digit i below sizes[i]) at a step of a walk through all of them.

    Steps 0 to prod(sizes) - 1 visit each combination once, and any prefix uses each digit's values evenly.
    Proof, for the last digit of size n after others of joint size m: within a block of lcm(m, n) steps
    (step mod m, step mod n) never repeats, and each block shifts the digit by one, gcd(m, n) times.
    """
    digits: list[int] = []
    for size, before in zip(reversed(sizes), _products_before(sizes), strict=True):
        digits.append((step + step // lcm(before, size)) % size)
        step %= before
    return digits[::-1]


def _products_before(sizes: Sequence[int]) -> list[int]:
    """Return, for each digit from last to first, the number of combinations of the digits before it."""
    return [prod(sizes[:position]) for position in range(len(sizes) - 1, -1, -1)]


def shuffled(values: Iterable[T], salt: Sequence[Json]) -> list[T]:
    """Return the values in an order that depends on each value and the salt, not on how they were listed."""
    # Sorting by hash is stable under additions: a new value is inserted and the others keep their order.
    return sorted(values, key=lambda value: fingerprint("polytune.plan.v1", [*salt, value]))


def rota(shares: Sequence[int]) -> Iterator[int]:
    """Yield positions without end, so that every prefix has each in proportion to its share, within one.

    Equal shares take turns. Otherwise each turn of a position has a window of steps that keeps every
    position's count within one of its due number. Among the turns with an open window, the one that closes
    first is taken (R. Tijdeman, The chairman assignment problem, Discrete Mathematics 32, 1980).
    """
    # The usual case: with equal shares, taking turns is exact.
    if len(set(shares)) <= 1:
        yield from cycle(range(len(shares)))
        return
    whole, common, slack = sum(shares), lcm(*shares), 2 * len(shares) - 2
    taken = [0] * len(shares)

    def opens(position: int) -> int:
        return -(-whole * (1 + taken[position] * slack) // (slack * shares[position]))

    closed = [(opens(position), position) for position in range(len(shares))]
    heapify(closed)
    open_turns: list[tuple[int, int]] = []
    for step in count(1):
        while closed and closed[0][0] <= step:
            position = heappop(closed)[1]
            closes = ((taken[position] + 1) * slack - 1) * (common // shares[position])
            heappush(open_turns, (closes, position))
        position = heappop(open_turns)[1]
        taken[position] += 1
        heappush(closed, (opens(position), position))
        yield position
