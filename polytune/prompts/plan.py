"""The sampling plan: the cell, template and slot values of each sample, in a fixed order.

    sample 0 1 2 3 4 5 6 7 ...          one round visits every cell once, then the next round begins; cells
    cell   a c b d a c b d ...          with weights come in proportion: any prefix has every cell as often
    visit  0 0 0 0 1 1 1 1 ...          as is due, to within one sample
                                        within a cell, visits rotate through the templates; and each
                                        template walks all combinations of its slots before it repeats

A longer plan starts with the shorter one. What a cell asks does not depend on other cells, so a wider matrix
keeps the questions of a narrower one; only the rows of a seed set are shared among cells. Orders come from
hashes of the seed and the values themselves, so they do not depend on how a file lists the values.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from math import prod

import msgspec

from polytune.fingerprint import Json, fingerprint
from polytune.prompts.conditions import Cell, Value
from polytune.prompts.distributions import SlotDistribution
from polytune.prompts.library import Library
from polytune.prompts.matrix import Axes, Matrix
from polytune.prompts.order import even_walk, rota, shuffled
from polytune.prompts.seeds import SeedRota, SeedRow, SeedSet

chance_digits = 13
"""Hex digits of a hash that make one number in [0, 1): 52 bits, which a float holds exactly."""


class PlannedSample(msgspec.Struct, frozen=True, kw_only=True):
    """One sample of the plan."""

    index: int
    """Its position in the plan, from 0."""
    cell: dict[str, Value]
    """One value per axis."""
    template: str
    """The template's name in messages and provenance: `techno/3`."""
    template_index: int
    """The template's position among those of the cell, from 0."""
    slots: dict[str, Value]
    """A value for each slot that the template uses, and for each column of its seed row."""
    draw: int
    """How many earlier samples ask exactly the same."""
    seed: str = ""
    """The id of its row in the seed set."""
    shots: tuple[int, ...] = ()
    """The positions of the examples it shows, among those of the cell."""


def plan(axes: Axes | Matrix, library: Library, seed: int) -> Iterator[PlannedSample]:
    """Yield the endless, deterministic sequence of samples; the caller takes as many as it needs."""
    matrix = Matrix.of(axes)
    cells = matrix.cells(seed)
    streams = [_CellStream.of(cell, library, seed) for cell in cells]
    visits = [0] * len(cells)
    rows = _SharedSeedRows.of(library.seeds, cells, tuple(matrix.axes))
    asked: dict[Hashable, int] = {}
    for index, position in enumerate(rota(matrix.shares(cells))):
        visit = visits[position]
        visits[position] = visit + 1
        row = rows.next(position) if rows else None
        sample, question = streams[position].sample(index, visit, row)
        if question is not None:
            draw = asked.get((position, question), 0)
            asked[position, question] = draw + 1
            sample = msgspec.structs.replace(sample, draw=draw)
        yield sample


@dataclass(frozen=True)
class _SharedSeedRow:
    """A seed row without the columns that are axes."""

    id: str
    columns: Mapping[str, Value]


@dataclass(frozen=True)
class _SharedSeedRows:
    """The rows of a seed set, shared among the cells."""

    seeds: SeedSet
    axes: tuple[str, ...]
    rota: SeedRota

    @classmethod
    def of(
        cls, seeds: SeedSet | None, cells: list[dict[str, Value]], axes: tuple[str, ...]
    ) -> _SharedSeedRows | None:
        return cls(seeds, axes, SeedRota(seeds, cells, axes)) if seeds is not None else None

    def next(self, position: int) -> _SharedSeedRow:
        row: SeedRow = self.seeds.rows[self.rota.next(position)]
        return _SharedSeedRow(row.id, self.seeds.slots(row, self.axes))


@dataclass(frozen=True)
class _TemplateStream:
    """One template in one cell: a walk through the combinations of its slots."""

    identity: str
    position: int
    names: tuple[str, ...]
    values: tuple[tuple[Value, ...], ...]
    sizes: tuple[int, ...]
    combinations: int
    drawn: Mapping[str, SlotDistribution]
    """Slots with a distribution."""
    uses: tuple[str, ...]
    """Every name that the template uses."""
    salt: tuple[Json, ...]

    def slots(self, step: int) -> dict[str, Value]:
        """Return the values of slots with lists, at a step of the walk."""
        digits = even_walk(step, self.sizes)
        chosen = (values[digit] for values, digit in zip(self.values, digits, strict=True))
        return dict(zip(self.names, chosen, strict=True))

    def draws(self, turn: int) -> dict[str, Value]:
        """Return the values of slots with distributions, at a visit of this template."""
        return {
            name: distribution.draw(_chance([*self.salt, name, turn]))
            for name, distribution in self.drawn.items()
        }


@dataclass(frozen=True)
class _CellStream:
    """One cell: a rotation through its templates."""

    cell: dict[str, Value]
    templates: tuple[_TemplateStream, ...]
    examples: tuple[int, ...]
    """The positions of the cell's examples, in the order in which they take turns."""
    shots: int

    @classmethod
    def of(cls, cell: dict[str, Value], library: Library, seed: int) -> _CellStream:
        # By text, not by position, so that a template added to the file does not reorder the others.
        positions = {template.text: index for index, template in enumerate(library.templates(cell))}
        salt: list[Json] = [seed, cell]
        order = [positions[text] for text in shuffled(positions, [*salt, "templates"])]
        templates = tuple(_template_stream(cell, position, library, salt) for position in order)
        prompts = {example.prompt: place for place, example in enumerate(library.examples(cell))}
        examples = tuple(prompts[prompt] for prompt in shuffled(prompts, [*salt, "examples"]))
        return cls(cell, templates, examples, min(library.prompts.shots, len(examples)))

    def sample(self, index: int, visit: int, row: _SharedSeedRow | None) -> tuple[PlannedSample, Hashable]:
        """Return the sample of a visit, and a key that identifies its question among those of this cell.

        The key is needed to count draws. It is None where the draw follows from the visit alone.
        """
        turn, which = divmod(visit, len(self.templates))
        template = self.templates[which]
        # Once all combinations are used, the same questions come again as further draws.
        draw, step = divmod(turn, template.combinations)
        slots = template.slots(step)
        drawn = template.draws(turn)
        columns = {name: value for name, value in row.columns.items() if name in template.uses} if row else {}
        shots = self._shots(turn + which)
        sample = PlannedSample(
            index=index,
            cell=self.cell,
            template=template.identity,
            template_index=template.position,
            slots={**slots, **drawn, **columns},
            draw=draw,
            seed=row.id if row else "",
            shots=shots,
        )
        # Remembering every question would take memory for a million samples; here
        # arithmetic tells the draw.
        if not (drawn or row or shots):
            return sample, None
        return sample, (which, step, *drawn.values(), *columns.items(), *shots)

    def _shots(self, turn: int) -> tuple[int, ...]:
        """Return the examples of a turn; all examples are used equally often."""
        start = turn * self.shots
        return tuple(self.examples[(start + place) % len(self.examples)] for place in range(self.shots))


def _template_stream(cell: Cell, position: int, library: Library, salt: list[Json]) -> _TemplateStream:
    template = library.templates(cell)[position]
    choices = library.slot_values(cell, position)
    own = [*salt, template.text]
    values = tuple(tuple(shuffled(options, [*own, name])) for name, options in choices.items())
    sizes = tuple(map(len, values))
    drawn = library.distributions(cell, position)
    return _TemplateStream(
        identity=template.id,
        position=position,
        names=tuple(choices),
        values=values,
        sizes=sizes,
        combinations=prod(sizes),
        drawn=drawn,
        uses=template.names,
        salt=tuple(own),
    )


def _chance(salt: list[Json]) -> float:
    """Return a number in [0, 1) that is always the same for the same salt."""
    digest = fingerprint("polytune.chance.v1", salt)
    return int(digest[:chance_digits], 16) / (1 << 4 * chance_digits)
