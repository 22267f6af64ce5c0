"""The sampling plan: which cell, template and slot values each sample asks for, in a fixed order.

    sample 0 1 2 3 4 5 6 7 ...          one round visits every cell once, then the next round begins; cells
    cell   a c b d a c b d ...          with weights come in proportion: any prefix has every cell as often
    visit  0 0 0 0 1 1 1 1 ...          as it is due, to within one sample
                                        within a cell, visits rotate through the templates; and each
                                        template walks all combinations of its slots before it repeats

A longer plan starts with the shorter one. What a cell asks for does not depend on the other cells, so
a wider matrix keeps the questions of the narrower one; rows of a seed set alone are shared out among
cells. Orders come from hashes of the seed and the values themselves, so that how a file lists them does
not matter.
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
"""Hex digits of a hash that make one number between 0 and 1: 52 bits, all that a float holds."""


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
    """A value for each slot that the template uses, and for each column of its seed row."""
    draw: int
    """How many earlier samples ask exactly the same."""
    seed: str = ""
    """The id of the row of the seed set that it is made around."""
    shots: tuple[int, ...] = ()
    """The places of the examples it shows, among those of the cell."""


def plan(axes: Axes | Matrix, library: Library, seed: int) -> Iterator[PlannedSample]:
    """The endless, deterministic sequence of samples; take as many as are wanted."""
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
    """A seed row as a sample sees it."""

    id: str
    columns: Mapping[str, Value]


@dataclass(frozen=True)
class _SharedSeedRows:
    """The rows of a seed set, shared out among the cells."""

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
    """Slots whose values are drawn."""
    uses: tuple[str, ...]
    """Every name that the template uses."""
    salt: tuple[Json, ...]

    def slots(self, step: int) -> dict[str, Value]:
        """The values of the slots that are lists, at a step of the walk."""
        digits = even_walk(step, self.sizes)
        chosen = (values[digit] for values, digit in zip(self.values, digits, strict=True))
        return dict(zip(self.names, chosen, strict=True))

    def draws(self, turn: int) -> dict[str, Value]:
        """The values of the slots that are drawn, at a visit of this template."""
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
    """The places of the cell's examples, in the order in which they take turns."""
    shots: int

    @classmethod
    def of(cls, cell: dict[str, Value], library: Library, seed: int) -> _CellStream:
        positions = {template.text: index for index, template in enumerate(library.templates(cell))}
        salt: list[Json] = [seed, cell]
        order = [positions[text] for text in shuffled(positions, [*salt, "templates"])]
        templates = tuple(_template_stream(cell, position, library, salt) for position in order)
        prompts = {example.prompt: place for place, example in enumerate(library.examples(cell))}
        examples = tuple(prompts[prompt] for prompt in shuffled(prompts, [*salt, "examples"]))
        return cls(cell, templates, examples, min(library.prompts.shots, len(examples)))

    def sample(self, index: int, visit: int, row: _SharedSeedRow | None) -> tuple[PlannedSample, Hashable]:
        """The sample of a visit, and what tells its question from the others of this cell, where that
        must be remembered to count draws; None where the draw follows from the visit."""
        turn, which = divmod(visit, len(self.templates))
        template = self.templates[which]
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
        if not (drawn or row or shots):
            return sample, None
        return sample, (which, step, *drawn.values(), *columns.items(), *shots)

    def _shots(self, turn: int) -> tuple[int, ...]:
        """Some of the examples, each as often as any other."""
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
    """A number from 0 up to 1, the same for the same salt for ever."""
    digest = fingerprint("polytune.chance.v1", salt)
    return int(digest[:chance_digits], 16) / (1 << 4 * chance_digits)
