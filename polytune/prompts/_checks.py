"""Checks of a prompt file as a whole, against the matrix it must serve; single fields are already valid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

from polytune.errors import Problem, did_you_mean
from polytune.prompts._document import Document, Step
from polytune.prompts._templates import PromptTemplate, template_failures
from polytune.prompts.conditions import Cell, Condition, Value, holds, wanted
from polytune.prompts.distributions import SlotDistribution
from polytune.prompts.matrix import Matrix
from polytune.prompts.model import PromptFile, default, every_value, persona, template_path
from polytune.prompts.seeds import SeedSet


@dataclass(frozen=True)
class CheckedLibrary:
    """A prompt file, the matrix it must serve, and its compiled templates."""

    document: Document
    prompts: PromptFile
    matrix: Matrix
    templates: Mapping[str, Sequence[PromptTemplate | None]]
    """By key, in file order; None for a template with a syntax error."""
    seeds: SeedSet | None = None

    @property
    def axes(self) -> Mapping[str, Sequence[Value]]:
        """Every value of each axis."""
        return self.matrix.values

    def problems(self) -> list[Problem]:
        """Return all problems; empty when there are none."""
        found = [*self._template_axis(), *self._guides(), *self._slots(), *self._names()]
        found += [*self._conditions(), *self._personas(), *self._examples()]
        # In stages: cells and renderings can be checked only once all names and conditions are right, and
        # would otherwise report consequences of the first problems.
        found = found or [*self._cells_without_template(), *self._empty_slots()]
        return found or list(self._renders())

    @cached_property
    def _cells(self) -> list[dict[str, Value]]:
        return self.matrix.listed()

    @cached_property
    def _columns(self) -> tuple[str, ...]:
        return tuple(name for name in self.seeds.columns if name not in self.axes) if self.seeds else ()

    def _template_axis(self) -> Iterator[Problem]:
        axis, listed = self.prompts.template_axis, every_value in self.prompts.templates
        if listed and axis:
            what = "`templates` is one list for every cell, so no axis chooses among them; remove this key"
            yield self.document.problem(("template_axis",), what)
        elif not listed and not axis:
            what = "set `template_axis` to the axis whose values are the keys of `templates`"
            yield self.document.problem(("templates",), what, key=True)
        elif axis and axis not in self.axes:
            what = f"the matrix has no axis '{axis}'.{did_you_mean(axis, list(self.axes))}"
            yield self.document.problem(("template_axis",), what)
        else:
            yield from self._templates_of_values()

    def _templates_of_values(self) -> Iterator[Problem]:
        templates, axis = self.prompts.templates, self.prompts.template_axis
        written = list(templates)
        for value in map(str, self.axes[axis] if axis else ()):
            if value not in written:
                what = f"no templates for {axis} '{value}', which the matrix uses."
                what += self._remedy(axis, value, written)
                yield self.document.problem(("templates",), what, key=True)
        for key, texts in templates.items():
            if not texts:
                yield self.document.problem(("templates", key), "has no templates")
            yield from self._same_template_twice(key)

    def _remedy(self, axis: str, missing: str, written: Sequence[str]) -> str:
        """Return a remedy for an uncovered value: it may be misspelled, or must be added."""
        unused = [key for key in written if key not in map(str, self.axes[axis])]
        near = get_close_matches(missing, unused, n=1, cutoff=0.6)
        return f" Is '{near[0]}' meant for it?" if near else " Add one, or remove the value from the matrix."

    def _same_template_twice(self, key: str) -> Iterator[Problem]:
        first: dict[str, int] = {}
        for index, template in enumerate(self.prompts.templates[key]):
            if first.setdefault(template.identity, index) != index:
                what = f"is the same as template {first[template.identity] + 1}"
                yield self.document.problem(template_path(key, index), what)

    def _guides(self) -> Iterator[Problem]:
        for axis, texts in self.prompts.guides.items():
            if axis not in self.axes and get_close_matches(axis, self.axes, n=1, cutoff=0.6):
                what = f"the matrix has no axis '{axis}'.{did_you_mean(axis, list(self.axes))}"
                yield self.document.problem(("guides", axis), what, key=True)
            for value in self.axes.get(axis, ()):
                if self.prompts.guide(axis, value) is None:
                    what = f"no guide for {axis} '{value}', which the matrix uses."
                    what += self._remedy(axis, str(value), list(texts))
                    yield self.document.problem(("guides", axis), what, key=True)

    def _conditions(self) -> Iterator[Problem]:
        for key, templates in self.prompts.templates.items():
            for index, template in enumerate(templates):
                yield from self._condition((*template_path(key, index), "when"), template.when)
        for index, example in enumerate(self.prompts.examples):
            yield from self._condition(("examples", index, "when"), example.when)

    def _condition(self, path: tuple[Step, ...], condition: Condition) -> Iterator[Problem]:
        for axis, values in wanted(condition):
            if axis not in self.axes:
                what = f"the matrix has no axis '{axis}'.{did_you_mean(axis, list(self.axes))}"
                yield self.document.problem((*path, axis), what, key=True)
                continue
            # A prompt file serves several matrices: a `when` may name values that only its guides know.
            written = [*map(str, self.axes[axis]), *self.prompts.guides.get(axis, ())]
            for value in values:
                if value not in written:
                    what = f"'{value}' is not a value of the axis '{axis}'.{did_you_mean(value, written)}"
                    yield self.document.problem((*path, axis), what)

    def _personas(self) -> Iterator[Problem]:
        if not self.prompts.personas:
            return
        taken = [
            (self.axes, "an axis of the matrix"),
            (self.prompts.slots, "a slot"),
            (self._columns, "a column of the seeds"),
        ]
        for names, what in taken:
            if persona in names:
                yield self.document.problem(("personas",), f"'{persona}' is {what} already", key=True)

    def _examples(self) -> Iterator[Problem]:
        if bool(self.prompts.examples) != bool(self.prompts.shots):
            lacking = "set `shots` to the number of examples that each sample shows"
            what = lacking if self.prompts.examples else "there are no `examples`"
            yield self.document.problem(("examples" if self.prompts.examples else "shots",), what, key=True)

    def _cells_without_template(self) -> Iterator[Problem]:
        """Report cells that no template serves."""
        lacking = [cell for cell in self._cells if not self._is_served(cell)]
        if lacking:
            more = f" and {len(lacking) - 1} more of the matrix" if len(lacking) > 1 else ""
            what = f"no template is for {_named(lacking[0])}{more}; relax a `when`, or exclude the cell"
            yield self.document.problem(("templates",), what, key=True)

    def _is_served(self, cell: Cell) -> bool:
        key = self.prompts.templates_for(cell)
        written = self.prompts.templates[key] if key is not None else ()
        return not written or any(holds(each.when, cell) for each in written)

    def _slots(self) -> Iterator[Problem]:
        known = self._axis_values()
        for name, choices in self.prompts.slots.items():
            if not name.isidentifier():
                what = f"'{name}' cannot be used in a template; a slot's name has letters, digits and _"
                yield self.document.problem(("slots", name), what, key=True)
            if name in self.axes:
                what = f"'{name}' is an axis of the matrix already; give the slot another name"
                yield self.document.problem(("slots", name), what, key=True)
            if name in self._columns:
                what = f"'{name}' is a column of the seeds already; give the slot another name"
                yield self.document.problem(("slots", name), what, key=True)
            for key, values in choices.items():
                yield from self._slot_choice(name, key, values, known)

    def _slot_choice(
        self, name: str, key: str, values: Sequence[Value] | SlotDistribution, known: Sequence[str]
    ) -> Iterator[Problem]:
        if key != default and key not in known:
            what = f"'{key}' is not a value of any axis.{did_you_mean(key, known)}"
            yield self.document.problem(("slots", name, key), what, key=True)
        if isinstance(values, SlotDistribution):
            for what in values.wrong():
                yield self.document.problem(("slots", name, key), what)
            return
        if not values:
            yield self.document.problem(("slots", name, key), f"slot '{name}' has no values")
        for index, value in enumerate(values):
            if str(value) in map(str, values[:index]):
                yield self.document.problem(("slots", name, key, index), f"lists {value!r} a second time")

    def _axis_values(self) -> list[str]:
        """Return every key that may select slot values: from the matrix, and from the file's own sections."""
        values = {axis: {str(value) for value in chosen} for axis, chosen in self.axes.items()}
        for axis, texts in self.prompts.guides.items():
            values.setdefault(axis, set()).update(texts)
        if self.prompts.template_axis:
            values.setdefault(self.prompts.template_axis, set()).update(self.prompts.templates)
        pairs = [(axis, value) for axis, chosen in values.items() for value in chosen]
        return sorted({value for _, value in pairs} | {f"{axis}={value}" for axis, value in pairs})

    def _names(self) -> Iterator[Problem]:
        known = [*self.prompts.slots, *self.axes, *self._columns]
        known += [persona] if self.prompts.personas else []
        for key, index, template in self._each():
            for name in template.names:
                if name not in known:
                    kinds = "not a slot, an axis or a column" if self.seeds else "not a slot or an axis"
                    what = f"template {template.id} uses '{name}', which is {kinds}."
                    what += did_you_mean(name, known)
                    yield self.document.problem(template_path(key, index), what, word=name)

    def _empty_slots(self) -> Iterator[Problem]:
        for key, index, template in self._each():
            served = self._served(key, template)
            for name in template.names:
                lacking = [cell for cell in served if self._lacks(name, cell)]
                if lacking:
                    what = f"slot '{name}' has no values for {_named(lacking[0])}"
                    what += f" and {len(lacking) - 1} more of the matrix" if len(lacking) > 1 else ""
                    what += "; add them, or a `default`"
                    yield self.document.problem(template_path(key, index), what, word=name)

    def _lacks(self, name: str, cell: dict[str, Value]) -> bool:
        return name in self.prompts.slots and not self.prompts.slot_values(name, cell)

    def _served(self, key: str, template: PromptTemplate) -> list[dict[str, Value]]:
        """Return the cells that a template serves."""
        return [
            cell
            for cell in self._cells
            if self.prompts.templates_for(cell) == key and holds(template.when, cell)
        ]

    def _renders(self) -> Iterator[Problem]:
        """Render each template once for each set of axes and columns it may meet.

        A failure almost always depends on which axes a cell has, not on their values; rendering every cell
        would take too long for large matrices.
        """
        for key, index, template in self._each():
            # Reversed twice, so that the first cell of each set is the one that is kept and rendered first.
            cells = {tuple(cell): cell for cell in reversed(self._served(key, template))}
            for cell in reversed(cells.values()):
                what = self._failure(template, cell)
                if what:
                    yield self.document.problem(template_path(key, index), f"template {template.id} {what}")
                    break

    def _failure(self, template: PromptTemplate, cell: dict[str, Value]) -> str:
        values = {
            name: _some(self.prompts.slot_values(name, cell))
            for name in template.names
            if name in self.prompts.slots
        }
        values |= {persona: "someone"} if self.prompts.personas else {}
        try:
            for columns in self._rows():
                if not all(template.render({**cell, **values, **columns})):
                    return "renders to nothing"
        except template_failures as error:
            return f"cannot be rendered: {error}"
        return ""

    def _rows(self) -> list[Mapping[str, Value]]:
        """Return one row for each set of columns that rows have."""
        if self.seeds is None:
            return [{}]
        found = [self.seeds.slots(row, list(self.axes)) for row in self.seeds.rows]
        return list({tuple(columns): columns for columns in found}.values())

    def _each(self) -> Iterator[tuple[str, int, PromptTemplate]]:
        for key, templates in self.templates.items():
            for index, template in enumerate(templates):
                if template is not None:
                    yield key, index, template


def _some(values: Sequence[Value] | SlotDistribution) -> Value:
    """Return one of a slot's values."""
    return values.draw(0.5) if isinstance(values, SlotDistribution) else values[0]


def _named(cell: Cell) -> str:
    return " and ".join(f"{axis} '{value}'" for axis, value in cell.items()) or "the one cell"
