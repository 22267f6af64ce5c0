"""A prompt file that is checked against a matrix and ready to render.

library = load_library(Path("prompts/strudel.yaml"), {"style": ["techno", "house"]})
library.render({"style": "techno"}, 0, {"tempo": 128, "key": "C minor"})
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from polytune.errors import Problem, SpecError, StepFailed
from polytune.prompts._checks import CheckedLibrary
from polytune.prompts._document import Document, read_document
from polytune.prompts._templates import (
    PromptTemplate,
    TemplateSyntax,
    compile_template,
    template_failures,
)
from polytune.prompts.conditions import Cell, Value, holds
from polytune.prompts.distributions import SlotDistribution
from polytune.prompts.matrix import Axes, Matrix
from polytune.prompts.model import (
    FewShotExample,
    PromptFile,
    TemplateText,
    every_value,
    parse_prompt_file,
    persona,
    template_path,
)
from polytune.prompts.seeds import SeedSet


@dataclass(frozen=True)
class Rendered:
    """A rendered request to a teacher."""

    system: str
    """The base system prompt and the guides of the cell; may be empty."""
    prompt: str
    """The user's turn; the first one if there are several."""
    follow_ups: tuple[str, ...] = ()
    """The user's later turns, each sent after the answer to the previous one."""


@dataclass(frozen=True)
class Library:
    """The prompts of one project for one matrix; create it with `load_library`."""

    file: str
    """The path as messages show it."""
    prompts: PromptFile
    by_key: Mapping[str, tuple[PromptTemplate, ...]]
    """Every template, by the value of the template axis that it serves."""
    files: tuple[Path, ...] = ()
    """Files that were read besides the prompt file itself."""
    seeds: SeedSet | None = None
    """The rows that samples are built around."""
    axes: tuple[str, ...] = ()
    _serving: dict[tuple[tuple[str, Value], ...], tuple[PromptTemplate, ...]] = field(
        default_factory=dict, compare=False, repr=False
    )

    @property
    def short_system(self) -> str:
        """The one or two sentences that may replace the system prompt; '' when there are none."""
        return self.prompts.short_system.strip()

    @property
    def most_turns(self) -> int:
        """The number of user turns of the longest template."""
        return max(len(each.compiled) for of in self.by_key.values() for each in of)

    def templates(self, cell: Cell) -> tuple[PromptTemplate, ...]:
        """Return the templates that serve a cell, in file order."""
        key = self.prompts.templates_for(cell)
        if key is None or not any(each.when for each in self.by_key[key]):
            return () if key is None else self.by_key[key]
        # Kept: conditions are evaluated once per cell, not once per sample.
        known = tuple(cell.items())
        if known not in self._serving:
            self._serving[known] = tuple(each for each in self.by_key[key] if holds(each.when, cell))
        return self._serving[known]

    def slot_values(self, cell: Cell, template_index: int) -> dict[str, tuple[Value, ...]]:
        """Return the slots of a template that have lists, with their values in this cell, sorted by name."""
        found = self._slots(cell, template_index)
        return {name: values for name, values in found.items() if not isinstance(values, SlotDistribution)}

    def distributions(self, cell: Cell, template_index: int) -> dict[str, SlotDistribution]:
        """Return the slots of a template that have distributions, sorted by name."""
        found = self._slots(cell, template_index)
        return {name: values for name, values in found.items() if isinstance(values, SlotDistribution)}

    def _slots(self, cell: Cell, template_index: int) -> dict[str, tuple[Value, ...] | SlotDistribution]:
        names = self.templates(cell)[template_index].names
        found = {name: self.prompts.slot_values(name, cell) for name in names if name in self.prompts.slots}
        if self.prompts.personas:
            found[persona] = tuple(self.prompts.personas)
        return dict(sorted(found.items()))

    def examples(self, cell: Cell) -> tuple[FewShotExample, ...]:
        """Return the examples that may be shown in a cell, in file order."""
        return self.prompts.examples_for(cell)

    def system(self, cell: Cell) -> str:
        """Return the system prompt: the base, then `AXIS: value` and the guide for each axis with a guide."""
        parts = [self.prompts.system.strip()]
        for axis, value in cell.items():
            guide = self.prompts.guide(axis, value)
            if guide is not None:
                parts.append(f"{axis.upper()}: {value}\n{guide.strip()}")
        return "\n\n".join(part for part in parts if part)

    def render(
        self, cell: Cell, template_index: int, slots: Mapping[str, Value], shots: Sequence[int] = ()
    ) -> Rendered:
        """Render the request for one cell, template (counted from 0) and choice of slot values.

        `shots` are positions among the cell's examples. Raises StepFailed when the template cannot be
        rendered with these values.
        """
        template = self.templates(cell)[template_index]
        try:
            first, *more = template.render({**cell, **slots})
        except template_failures as error:
            given = ", ".join(f"{name}={value!r}" for name, value in slots.items())
            raise StepFailed(
                f"{self.file}: template {template.id} cannot be rendered with {given or 'no slots'}: {error}"
            ) from error
        system = self.system(cell)
        # A persona that the template does not place must still reach the teacher.
        if persona in slots and persona not in template.names:
            system = "\n\n".join(filter(None, (system, f"PERSONA: {str(slots[persona]).strip()}")))
        if shots:
            shown = [self.examples(cell)[place] for place in shots]
            pairs = [f"USER: {each.prompt.strip()}\nANSWER: {each.answer.strip()}" for each in shown]
            system = "\n\n".join(filter(None, (system, "EXAMPLES", *pairs)))
        return Rendered(system, first, tuple(more))


def load_library(
    path: Path, axes: Axes | Matrix, *, shown: str = "", seeds: SeedSet | None = None
) -> Library:
    """Load the prompt file at `path` and check that it serves every cell of `axes`.

    Raises SpecError with every problem of the file, each with line and column; `shown` is the path to
    print there instead of `path`.
    """
    document = read_document(path, shown or str(path))
    prompts = parse_prompt_file(document)
    files: tuple[Path, ...] = ()
    if isinstance(prompts.personas, str):
        files = (path.parent / prompts.personas,)
        prompts = _with_personas(document, prompts, files[0])
    matrix = Matrix.of(axes)
    templates, problems = _compiled(document, prompts)
    # Everything is collected before anything is raised: the user fixes a file in one round.
    problems += CheckedLibrary(document, prompts, matrix, templates, seeds).problems()
    if seeds is not None:
        problems += seeds.problems(matrix.values, matrix.cells())
    if problems:
        raise SpecError(problems)
    by_key = {key: tuple(filter(None, of)) for key, of in templates.items()}
    return Library(document.file, prompts, by_key, files, seeds, tuple(matrix.axes))


def _with_personas(document: Document, prompts: PromptFile, path: Path) -> PromptFile:
    """Return the file with the personas read from their own file. Raises SpecError when it is unreadable."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        what = f"cannot be read as a text file, one persona a line: {error}"
        raise SpecError([document.problem(("personas",), what)]) from error
    found = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not found:
        raise SpecError([document.problem(("personas",), f"{prompts.personas} has no personas")])
    return prompts.model_copy(update={"personas": found})


def _compiled(
    document: Document, prompts: PromptFile
) -> tuple[dict[str, list[PromptTemplate | None]], list[Problem]]:
    templates: dict[str, list[PromptTemplate | None]] = {key: [] for key in prompts.templates}
    problems = []
    for key, index, written in _texts(prompts):
        identity = str(index + 1) if key == every_value else f"{key}/{index + 1}"
        try:
            templates[key].append(compile_template(identity, written))
        except TemplateSyntax as error:
            templates[key].append(None)
            path = (*template_path(key, index), error.turn)
            line = f" (line {error.line} of the template)" if error.line > 1 else ""
            problems.append(document.problem(path, f"template {identity}: {error}{line}"))
    return templates, problems


def _texts(prompts: PromptFile) -> Iterator[tuple[str, int, TemplateText]]:
    for key, texts in prompts.templates.items():
        for index, text in enumerate(texts):
            yield key, index, text
