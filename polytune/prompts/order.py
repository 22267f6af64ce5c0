"""Orders that every prefix keeps even: of values, of all combinations, and of cells by weight.

Nothing here is random: orders come from hashes of a seed and the values themselves, so that how a file
lists them does not matter.
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
    """Every cell once, so ordered that any prefix covers each axis evenly too; no axes make one cell."""
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
    """The combination of digits (digit i below sizes[i]) visited at a step of a walk through all of them.

    Steps 0 to prod(sizes) - 1 visit each combination once, and any prefix uses each digit's values evenly.
    Why once, for the last digit of size n after the others of joint size m: in a block of lcm(m, n) steps
    (step mod m, step mod n) never repeats, and each block shifts the digit by one, gcd(m, n) times.
    """
    digits: list[int] = []
    for size, before in zip(reversed(sizes), _products_before(sizes), strict=True):
        digits.append((step + step // lcm(before, size)) % size)
        step %= before
    return digits[::-1]


def _products_before(sizes: Sequence[int]) -> list[int]:
    """For each digit from the last to the first: how many combinations the digits before it have."""
    return [prod(sizes[:position]) for position in range(len(sizes) - 1, -1, -1)]


def shuffled(values: Iterable[T], salt: Sequence[Json]) -> list[T]:
    """The values in an order that depends on each value and the salt, not on how they were listed."""
    return sorted(values, key=lambda value: fingerprint("polytune.plan.v1", [*salt, value]))


def rota(shares: Sequence[int]) -> Iterator[int]:
    """Endless positions such that every prefix has each one in proportion to its share, to within one.

    Equal shares take turns. Else each turn of a position has a window of steps in which it keeps every
    position's count less than one from what it is due, and of the turns whose window is open the one that
    closes first is taken (R. Tijdeman, The chairman assignment problem, Discrete Mathematics 32, 1980).
    """
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
