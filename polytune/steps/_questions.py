"""The questions of a generate step: its spec, and the rendered plan with the identity of each question."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from polytune.engine.answers import AnswerMemory, Ask, StoredAnswer
from polytune.files import digest_of
from polytune.prompts.conditions import Condition
from polytune.prompts.library import Library, load_library
from polytune.prompts.matrix import Axis, Matrix
from polytune.prompts.plan import PlannedSample, plan
from polytune.prompts.seeds import SeedsSpec, read_seeds
from polytune.spec.model import FieldProblem, Inherited, InputFile, Items, Member, MemberSpec, Spec
from polytune.steps._teachers import AnswerIdentities, Draws
from polytune.steps._verifying import Attempt
from polytune.teachers.interface import Request

questions_at_once = 16
"""Number of questions looked up in memory together."""


class GenerateSpec(Spec):
    """Asks a teacher for `count` samples spread evenly over the matrix."""

    prompts: InputFile
    """Prompt library: a YAML file with a system prompt, guides, templates and slots."""
    teacher: Annotated[MemberSpec, Member("teachers")]
    """The teacher that answers."""
    count: Annotated[int, Field(ge=1, le=1_000_000)]
    """Number of samples. A larger number keeps the samples of a smaller one."""
    matrix: dict[str, Axis] = {}
    """Axes and their values. Every combination is a cell, and every prefix covers the cells evenly. Values
    with weights, as in `{techno: 3, house: 1}`, come in proportion; `{value: x, when: {axis: y}}` restricts a
    value to some cells."""
    seed: Annotated[int, Inherited()] = 0
    """Determines the order of cells, templates and slot values."""
    graders: Items[Annotated[MemberSpec, Member("graders")]] = ()
    """Graders of each answer as it arrives; it must pass all of them."""
    on_reject: Literal["drop", "redraw", "repair"] = "redraw"
    """What to do when a grader rejects an answer: `drop` leaves the sample out, `redraw` requests another
    answer, and `repair` sends the answer and the error back to the teacher."""
    max_redraws: Annotated[int, Field(ge=0, le=20)] = 3
    """Maximum number of further answers per sample, also after an empty or truncated one."""
    max_repairs: Annotated[int, Field(ge=0, le=20)] = 2
    """Maximum number of repairs per sample."""
    shortfall: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of samples that may be missing at the end; if more are, the step fails."""
    exclude: Items[Condition] = ()
    """Combinations to leave out: `[{style: jazz, complexity: simple}]`; a list of values matches any of
    them."""
    seeds: SeedsSpec | None = None
    """File of rows around which samples are built, each in turn."""

    def planned_matrix(self) -> Matrix:
        """Return the matrix without the excluded combinations."""
        return Matrix.of(self.matrix, self.exclude)

    def problems(self) -> list[FieldProblem]:
        """Return the problems of the matrix, and `on_reject` without a grader."""
        found = list(self.planned_matrix().problems())
        if self.on_reject != "redraw" and not self.graders:
            found.append(
                FieldProblem("on_reject", "needs `graders`: without a grader, no answer is rejected")
            )
        return found


@dataclass(frozen=True)
class PlannedQuestion:
    """One sample of the plan, rendered."""

    planned: PlannedSample
    request: Request
    ask: Ask
    follow_ups: tuple[str, ...] = ()
    """The user's later turns."""

    @property
    def id(self) -> str:
        """The sample's id."""
        # From the request, not the position, so that ids survive when the plan grows.
        return f"{self.ask.request[:16]}-{self.ask.draw}"

    @property
    def attempt(self) -> Attempt:
        """The first attempt at the question."""
        return Attempt(self.planned.index, self.id, self.request, self.ask.draw, follow_ups=self.follow_ups)


@dataclass(frozen=True)
class SamplingPlan:
    """What to sample: how many samples over which matrix, in the order that the seed determines."""

    matrix: Matrix
    seed: int
    count: int
    seeds: Path | None = None
    """The rows around which samples are built."""


class Questions:
    """The whole plan in order, generated anew for each pass, so that memory use is constant."""

    def __init__(self, wanted: SamplingPlan, prompts: Path, root: Path, identities: AnswerIdentities) -> None:
        self.wanted = wanted
        self.prompts = prompts
        self.root = root
        self.identities = identities
        self._read: tuple[list[str], Library] | None = None

    def planned(self) -> Iterator[PlannedSample]:
        """Yield the plan."""
        return islice(plan(self.wanted.matrix, self.library(), self.wanted.seed), self.wanted.count)

    def __iter__(self) -> Iterator[PlannedQuestion]:
        library = self.library()
        # Counted over what is sent: two cells may ask the same, and each needs an answer of its own.
        draws = Draws(self.identities)
        for planned in self.planned():
            rendered = library.render(planned.cell, planned.template_index, planned.slots, planned.shots)
            request = Request(
                system=rendered.system,
                prompt=rendered.prompt,
                variables={**planned.cell, **planned.slots},
            )
            ask = draws.next(request, planned.draw)
            yield PlannedQuestion(planned, request, ask, rendered.follow_ups)

    def looked_up(self, answers: AnswerMemory) -> Iterator[tuple[PlannedQuestion, StoredAnswer | None]]:
        """Yield each question with its first answer, if it is stored."""
        questions = iter(self)
        while chunk := list(islice(questions, questions_at_once)):
            known = {stored.ask: stored for stored in answers.find(question.ask for question in chunk)}
            yield from ((question, known.get(question.ask)) for question in chunk)

    def ask(self, attempt: Attempt) -> Ask:
        """Return the identity under which an attempt's answer is stored."""
        return self.identities.ask(attempt.request, attempt.draw)

    def library(self) -> Library:
        """Return the prompt library, read again only when one of its files has changed.

        Raises SpecError when it does not fit the matrix.
        """
        # By content: the file may be edited between planning and the run of a later step.
        if self._read is None or self._read[0] != self._digests(self._read[1]):
            rows = self.wanted.seeds
            seeds = None if rows is None else read_seeds(rows, self._shown(rows))
            shown = self._shown(self.prompts)
            library = load_library(self.prompts, self.wanted.matrix, shown=shown, seeds=seeds)
            self._read = self._digests(library), library
        return self._read[1]

    def _digests(self, library: Library) -> list[str]:
        rows = [] if self.wanted.seeds is None else [self.wanted.seeds]
        return [digest_of(path) for path in (self.prompts, *rows, *library.files)]

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)
