"""A prompt file, checked against a matrix and ready to render.

library = load_library(Path("prompts/strudel.yaml"), {"style": ["techno", "house"]})
library.render({"style": "techno"}, 0, {"tempo": 128, "key": "C minor"})
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from polytune.errors import Problem, SpecError, StepFailed
from polytune.prompts._checks import Axes, Checked
from polytune.prompts._document import Document, read_document
from polytune.prompts._templates import (
    PromptTemplate,
    TemplateSyntax,
    compile_template,
    make_environment,
    template_failures,
)
from polytune.prompts.model import Cell, PromptFile, Value, every_value, parse_prompt_file, template_path


@dataclass(frozen=True)
class Rendered:
    """What a teacher is asked."""

    system: str
    """The base system prompt and the guides of the cell; may be empty."""
    prompt: str
    """The user's turn."""


@dataclass(frozen=True)
class Library:
    """The prompts of one project for one matrix; made by `load_library`."""

    file: str
    """The path as messages show it."""
    prompts: PromptFile
    by_key: Mapping[str, tuple[PromptTemplate, ...]]
    """Every template, under the value of the template axis that it serves."""

    @property
    def short_system(self) -> str:
        """The one or two sentences that may stand in for the system prompt; '' when there are none."""
        return self.prompts.short_system.strip()

    def templates(self, cell: Cell) -> tuple[PromptTemplate, ...]:
        """The templates that serve a cell, in file order."""
        key = self.prompts.templates_for(cell)
        return () if key is None else self.by_key[key]

    def slot_values(self, cell: Cell, template_index: int) -> dict[str, tuple[Value, ...]]:
        """The slots that a template uses and the values each may take in this cell, by sorted name."""
        names = self.templates(cell)[template_index].names
        return {name: self.prompts.slot_values(name, cell) for name in names if name in self.prompts.slots}

    def system(self, cell: Cell) -> str:
        """The base, then for each axis with a guide a line `AXIS: value` and that guide."""
        parts = [self.prompts.system.strip()]
        for axis, value in cell.items():
            guide = self.prompts.guide(axis, value)
            if guide is not None:
                parts.append(f"{axis.upper()}: {value}\n{guide.strip()}")
        return "\n\n".join(part for part in parts if part)

    def render(self, cell: Cell, template_index: int, slots: Mapping[str, Value]) -> Rendered:
        """The request of one cell, template (counted from 0) and choice of slot values.

        Raises StepFailed when the template cannot be rendered with these values.
        """
        template = self.templates(cell)[template_index]
        try:
            return Rendered(self.system(cell), template.render({**cell, **slots}))
        except template_failures as error:
            given = ", ".join(f"{name}={value!r}" for name, value in slots.items())
            raise StepFailed(
                f"{self.file}: template {template.id} cannot be rendered with {given or 'no slots'}: {error}"
            ) from error


def load_library(path: Path, axes: Axes, *, shown: str = "") -> Library:
    """The prompt file at `path`, able to serve every cell of `axes`.

    Raises SpecError with every problem of the file, each at its line and column; `shown` is the path
    to print there instead of `path`.
    """
    document = read_document(path, shown or str(path))
    prompts = parse_prompt_file(document)
    templates, problems = _compiled(document, prompts)
    problems += Checked(document, prompts, axes, templates).problems()
    if problems:
        raise SpecError(problems)
    return Library(document.file, prompts, {key: tuple(filter(None, of)) for key, of in templates.items()})


def _compiled(
    document: Document, prompts: PromptFile
) -> tuple[dict[str, list[PromptTemplate | None]], list[Problem]]:
    environment = make_environment()
    templates: dict[str, list[PromptTemplate | None]] = {key: [] for key in prompts.templates}
    problems = []
    for key, index, text in _texts(prompts):
        identity = str(index + 1) if key == every_value else f"{key}/{index + 1}"
        try:
            templates[key].append(compile_template(environment, identity, text))
        except TemplateSyntax as error:
            templates[key].append(None)
            path = template_path(key, index)
            line = f" (line {error.line} of the template)" if error.line > 1 else ""
            problems.append(document.problem(path, f"template {identity}: {error}{line}"))
    return templates, problems


def _texts(prompts: PromptFile) -> Iterator[tuple[str, int, str]]:
    for key, texts in prompts.templates.items():
        for index, text in enumerate(texts):
            yield key, index, text
