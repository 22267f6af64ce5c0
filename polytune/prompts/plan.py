"""The sampling plan: which cell, template and slot values each sample asks for, in a fixed order.

    sample 0 1 2 3 4 5 6 7 ...          one round visits every cell once, then the next round begins
    cell   a c b d a c b d ...          every prefix covers the cells evenly, to within one sample
    visit  0 0 0 0 1 1 1 1 ...          within a cell, visits rotate through the templates; and each
                                        template walks all combinations of its slots before it repeats

A longer plan starts with the shorter one. What a cell asks for does not depend on the other cells, so
a wider matrix keeps the questions of the narrower one. Orders come from hashes of the seed and the
values themselves, so that how a file lists them does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from math import lcm, prod
from typing import TypeVar

import msgspec

from polytune.fingerprint import Json, fingerprint
from polytune.prompts.library import Library
from polytune.prompts.model import Cell, Value

T = TypeVar("T", bound=Value)


class PlannedSample(msgspec.Struct, frozen=True, kw_only=True):
    """One question of the plan."""

    index: int
    """Its place in the plan, from 0."""
    cell: dict[str, Value]
    """One value per axis."""
    template: str
    """The template's name in messages and provenance: `techno/3`."""
    template_index: int
    """The template's position among those of the cell, from 0."""
    slots: dict[str, Value]
    """A value for each slot that the template uses."""
    draw: int
    """How many earlier samples ask exactly the same."""


def plan(axes: Mapping[str, Sequence[Value]], library: Library, seed: int) -> Iterator[PlannedSample]:
    """The endless, deterministic sequence of samples; take as many as are wanted."""
    streams = [_CellStream.of(cell, library, seed) for cell in balanced_cells(axes, seed)]
    for index in count() if streams else ():
        visit, position = divmod(index, len(streams))
        yield streams[position].sample(index, visit)


def balanced_cells(axes: Mapping[str, Sequence[Value]], seed: int) -> list[dict[str, Value]]:
    """Every cell once, so ordered that any prefix covers each axis evenly too; no axes make one cell."""
    ordered = [_shuffled(dict.fromkeys(axes[axis]), [seed, "axis", axis]) for axis in axes]
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


@dataclass(frozen=True)
class _TemplateStream:
    """One template in one cell: a walk through the combinations of its slots."""

    identity: str
    position: int
    names: tuple[str, ...]
    values: tuple[tuple[Value, ...], ...]
    sizes: tuple[int, ...]
    combinations: int


@dataclass(frozen=True)
class _CellStream:
    """One cell: a rotation through its templates."""

    cell: dict[str, Value]
    templates: tuple[_TemplateStream, ...]

    @classmethod
    def of(cls, cell: dict[str, Value], library: Library, seed: int) -> _CellStream:
        positions = {template.text: index for index, template in enumerate(library.templates(cell))}
        salt: list[Json] = [seed, cell]
        order = [positions[text] for text in _shuffled(positions, [*salt, "templates"])]
        return cls(cell, tuple(_template_stream(cell, position, library, salt) for position in order))

    def sample(self, index: int, visit: int) -> PlannedSample:
        turn, which = divmod(visit, len(self.templates))
        template = self.templates[which]
        draw, step = divmod(turn, template.combinations)
        digits = even_walk(step, template.sizes)
        chosen = (values[digit] for values, digit in zip(template.values, digits, strict=True))
        return PlannedSample(
            index=index,
            cell=self.cell,
            template=template.identity,
            template_index=template.position,
            slots=dict(zip(template.names, chosen, strict=True)),
            draw=draw,
        )


def _template_stream(cell: Cell, position: int, library: Library, salt: list[Json]) -> _TemplateStream:
    template = library.templates(cell)[position]
    choices = library.slot_values(cell, position)
    values = tuple(
        tuple(_shuffled(options, [*salt, template.text, name])) for name, options in choices.items()
    )
    sizes = tuple(map(len, values))
    return _TemplateStream(template.id, position, tuple(choices), values, sizes, prod(sizes))


def _shuffled(values: Iterable[T], salt: Sequence[Json]) -> list[T]:
    """The values in an order that depends on each value and the salt, not on how they were listed."""
    return sorted(values, key=lambda value: fingerprint("polytune.plan.v1", [*salt, value]))
