"""What can be wrong in a prompt file although each of its fields is right, given the matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product

from polytune.errors import Problem, did_you_mean
from polytune.prompts._document import Document
from polytune.prompts._templates import PromptTemplate, template_failures
from polytune.prompts.model import PromptFile, Value, default, every_value, template_path

Axes = Mapping[str, Sequence[Value]]


@dataclass(frozen=True)
class Checked:
    """A prompt file, the matrix it must serve, and its templates that compile."""

    document: Document
    prompts: PromptFile
    axes: Axes
    templates: Mapping[str, Sequence[PromptTemplate | None]]
    """By key, in file order; None stands for one with a syntax error."""

    def problems(self) -> list[Problem]:
        """Everything wrong; empty when nothing is."""
        found = [*self._template_axis(), *self._guides(), *self._slots(), *self._names()]
        return found or list(self._empty_slots()) or list(self._renders())

    def _template_axis(self) -> Iterator[Problem]:
        axis, listed = self.prompts.template_axis, every_value in self.prompts.templates
        if listed and axis:
            what = "`templates` is one list for every cell, so no axis chooses among them; remove this key"
            yield self.document.problem(("template_axis",), what)
        elif not listed and not axis:
            what = "say with `template_axis` which axis the keys of `templates` are values of"
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
                what = f"no templates for {axis} '{value}', which the matrix asks for."
                what += self._remedy(axis, value, written)
                yield self.document.problem(("templates",), what, key=True)
        for key, texts in templates.items():
            if not texts:
                yield self.document.problem(("templates", key), "holds no template")
            yield from self._same_template_twice(key)

    def _remedy(self, axis: str, missing: str, written: Sequence[str]) -> str:
        """What to do about a value that is not covered: it is there misspelt, or must be added."""
        unused = [key for key in written if key not in map(str, self.axes[axis])]
        near = get_close_matches(missing, unused, n=1, cutoff=0.6)
        return f" Is '{near[0]}' meant for it?" if near else " Add one, or take the value out of the matrix."

    def _same_template_twice(self, key: str) -> Iterator[Problem]:
        first: dict[str, int] = {}
        for index, text in enumerate(self.prompts.templates[key]):
            if first.setdefault(text.strip(), index) != index:
                what = f"is the same as template {first[text.strip()] + 1}"
                yield self.document.problem(template_path(key, index), what)

    def _guides(self) -> Iterator[Problem]:
        for axis, texts in self.prompts.guides.items():
            if axis not in self.axes and get_close_matches(axis, self.axes, n=1, cutoff=0.6):
                what = f"the matrix has no axis '{axis}'.{did_you_mean(axis, list(self.axes))}"
                yield self.document.problem(("guides", axis), what, key=True)
            for value in self.axes.get(axis, ()):
                if self.prompts.guide(axis, value) is None:
                    what = f"no guide for {axis} '{value}', which the matrix asks for."
                    what += self._remedy(axis, str(value), list(texts))
                    yield self.document.problem(("guides", axis), what, key=True)

    def _slots(self) -> Iterator[Problem]:
        known = self._axis_values()
        for name, choices in self.prompts.slots.items():
            if not name.isidentifier():
                what = f"'{name}' cannot be used in a template; a slot's name has letters, digits and _"
                yield self.document.problem(("slots", name), what, key=True)
            if name in self.axes:
                what = f"'{name}' is an axis of the matrix already; give the slot another name"
                yield self.document.problem(("slots", name), what, key=True)
            for key, values in choices.items():
                yield from self._slot_choice(name, key, values, known)

    def _slot_choice(
        self, name: str, key: str, values: Sequence[Value], known: Sequence[str]
    ) -> Iterator[Problem]:
        if key != default and key not in known:
            what = f"'{key}' is no value of an axis.{did_you_mean(key, known)}"
            yield self.document.problem(("slots", name, key), what, key=True)
        if not values:
            yield self.document.problem(("slots", name, key), f"slot '{name}' has no values")
        for index, value in enumerate(values):
            if str(value) in map(str, values[:index]):
                yield self.document.problem(("slots", name, key, index), f"lists {value!r} a second time")

    def _axis_values(self) -> list[str]:
        """Every word that may choose slot values: of the matrix, and of what the file itself covers."""
        values = {axis: {str(value) for value in chosen} for axis, chosen in self.axes.items()}
        for axis, texts in self.prompts.guides.items():
            values.setdefault(axis, set()).update(texts)
        if self.prompts.template_axis:
            values.setdefault(self.prompts.template_axis, set()).update(self.prompts.templates)
        pairs = [(axis, value) for axis, chosen in values.items() for value in chosen]
        return sorted({value for _, value in pairs} | {f"{axis}={value}" for axis, value in pairs})

    def _names(self) -> Iterator[Problem]:
        known = [*self.prompts.slots, *self.axes]
        for key, index, template in self._each():
            for name in template.names:
                if name not in known:
                    what = f"template {template.id} uses '{name}', which is no slot and no axis."
                    what += did_you_mean(name, known)
                    yield self.document.problem(template_path(key, index), what, word=name)

    def _empty_slots(self) -> Iterator[Problem]:
        for key, index, template in self._each():
            served = [cell for cell in self.cells() if self.prompts.templates_for(cell) == key]
            for name in template.names:
                lacking = [cell for cell in served if self._lacks(name, cell)]
                if lacking:
                    example = " and ".join(f"{axis} '{value}'" for axis, value in lacking[0].items())
                    what = f"slot '{name}' has no values for {example}"
                    what += f" and {len(lacking) - 1} more of the matrix" if len(lacking) > 1 else ""
                    what += "; add them, or a `default`"
                    yield self.document.problem(template_path(key, index), what, word=name)

    def _lacks(self, name: str, cell: dict[str, Value]) -> bool:
        return name in self.prompts.slots and not self.prompts.slot_values(name, cell)

    def _renders(self) -> Iterator[Problem]:
        """Each template is rendered once, in the first cell that uses it."""
        cells = list(self.cells())
        for key, index, template in self._each():
            cell = next((cell for cell in cells if self.prompts.templates_for(cell) == key), None)
            if cell is not None:
                what = self._failure(template, cell)
                if what:
                    yield self.document.problem(template_path(key, index), f"template {template.id} {what}")

    def _failure(self, template: PromptTemplate, cell: dict[str, Value]) -> str:
        values = {
            name: options[0]
            for name in template.names
            if name in self.prompts.slots and (options := self.prompts.slot_values(name, cell))
        }
        try:
            return "" if template.render({**cell, **values}) else "renders to nothing"
        except template_failures as error:
            return f"cannot be rendered: {error}"

    def _each(self) -> Iterator[tuple[str, int, PromptTemplate]]:
        for key, templates in self.templates.items():
            for index, template in enumerate(templates):
                if template is not None:
                    yield key, index, template

    def cells(self) -> Iterator[dict[str, Value]]:
        """Every cell of the matrix, in the order of its axes."""
        for values in product(*self.axes.values()):
            yield dict(zip(self.axes, values, strict=True))
