"""The questions of a generate step: the plan, rendered, each under the name that memory knows it by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from polytune.engine.answers import AnswerMemory, Ask, StoredAnswer
from polytune.files import digest_of
from polytune.prompts.library import Library, load_library
from polytune.prompts.plan import PlannedSample, plan
from polytune.steps._verifying import Attempt
from polytune.teachers.interface import Request, RequestDigests

questions_at_once = 16
"""How many are looked up in memory together."""


@dataclass(frozen=True)
class Question:
    """One sample of the plan, rendered."""

    planned: PlannedSample
    request: Request
    ask: Ask

    @property
    def id(self) -> str:
        """The sample's id."""
        return f"{self.ask.request[:16]}-{self.ask.draw}"

    @property
    def attempt(self) -> Attempt:
        """The first attempt at it."""
        return Attempt(self.planned.index, self.id, self.request, self.ask.draw)


@dataclass(frozen=True)
class Plan:
    """What is planned: how many samples over which matrix, in the order that the seed chooses."""

    matrix: Mapping[str, Sequence[str | int | float]]
    seed: int
    count: int


class Questions:
    """The whole plan in order, made anew at each turn, so that memory stays flat."""

    def __init__(self, wanted: Plan, prompts: Path, root: Path, digest: RequestDigests) -> None:
        self.wanted = wanted
        self.prompts = prompts
        self.root = root
        self.digest = digest
        self._read: tuple[str, Library] | None = None

    def __iter__(self) -> Iterator[Question]:
        library, wanted = self.library(), self.wanted
        for planned in islice(plan(wanted.matrix, library, wanted.seed), wanted.count):
            rendered = library.render(planned.cell, planned.template_index, planned.slots)
            request = Request(
                system=rendered.system,
                prompt=rendered.prompt,
                variables={**planned.cell, **planned.slots},
            )
            yield Question(planned, request, Ask(self.digest(request), planned.draw))

    def looked_up(self, answers: AnswerMemory) -> Iterator[tuple[Question, StoredAnswer | None]]:
        """Each question with its first answer, if that is remembered."""
        questions = iter(self)
        while chunk := list(islice(questions, questions_at_once)):
            known = {stored.ask: stored for stored in answers.find(question.ask for question in chunk)}
            yield from ((question, known.get(question.ask)) for question in chunk)

    def ask(self, attempt: Attempt) -> Ask:
        """The name that an attempt at a question is remembered by."""
        return Ask(self.digest(attempt.request), attempt.draw)

    def library(self) -> Library:
        """The prompt library, read anew only when the file is another one.

        Raises SpecError when it cannot serve the matrix.
        """
        digest = digest_of(self.prompts)
        if self._read is None or self._read[0] != digest:
            inside = self.prompts.is_relative_to(self.root)
            shown = self.prompts.relative_to(self.root) if inside else self.prompts
            self._read = digest, load_library(self.prompts, self.wanted.matrix, shown=str(shown))
        return self._read[1]
