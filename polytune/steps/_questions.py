"""The questions of a generate step: the plan, rendered, each under the name that memory knows it by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from polytune.engine.answers import AnswerMemory, Ask, StoredAnswer
from polytune.files import digest_of
from polytune.prompts.library import Library, load_library
from polytune.prompts.matrix import Matrix
from polytune.prompts.plan import PlannedSample, plan
from polytune.prompts.seeds import read_seeds
from polytune.steps._verifying import Attempt
from polytune.teachers.interface import Request, RequestDigests

questions_at_once = 16
"""How many are looked up in memory together."""


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
        return f"{self.ask.request[:16]}-{self.ask.draw}"

    @property
    def attempt(self) -> Attempt:
        """The first attempt at it."""
        return Attempt(self.planned.index, self.id, self.request, self.ask.draw, follow_ups=self.follow_ups)


@dataclass(frozen=True)
class SamplingPlan:
    """What is planned: how many samples over which matrix, in the order that the seed chooses."""

    matrix: Matrix
    seed: int
    count: int
    seeds: Path | None = None
    """The rows that samples are made around."""


class Questions:
    """The whole plan in order, made anew at each turn, so that memory stays flat."""

    def __init__(self, wanted: SamplingPlan, prompts: Path, root: Path, digest: RequestDigests) -> None:
        self.wanted = wanted
        self.prompts = prompts
        self.root = root
        self.digest = digest
        self._read: tuple[list[str], Library] | None = None

    def planned(self) -> Iterator[PlannedSample]:
        """The plan itself."""
        return islice(plan(self.wanted.matrix, self.library(), self.wanted.seed), self.wanted.count)

    def __iter__(self) -> Iterator[PlannedQuestion]:
        library = self.library()
        for planned in self.planned():
            rendered = library.render(planned.cell, planned.template_index, planned.slots, planned.shots)
            request = Request(
                system=rendered.system,
                prompt=rendered.prompt,
                variables={**planned.cell, **planned.slots},
            )
            ask = Ask(self.digest(request), planned.draw)
            yield PlannedQuestion(planned, request, ask, rendered.follow_ups)

    def looked_up(self, answers: AnswerMemory) -> Iterator[tuple[PlannedQuestion, StoredAnswer | None]]:
        """Each question with its first answer, if that is remembered."""
        questions = iter(self)
        while chunk := list(islice(questions, questions_at_once)):
            known = {stored.ask: stored for stored in answers.find(question.ask for question in chunk)}
            yield from ((question, known.get(question.ask)) for question in chunk)

    def ask(self, attempt: Attempt) -> Ask:
        """The name that an attempt at a question is remembered by."""
        return Ask(self.digest(attempt.request), attempt.draw)

    def library(self) -> Library:
        """The prompt library, read anew only when a file of it is another one.

        Raises SpecError when it cannot serve the matrix.
        """
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
