"""A teacher that answers from a file of recorded answers, so that nothing is asked or paid again.

    {"prompt": "A techno loop", "answer": "s(\\"bd*4\\")"}
    {"prompt": "A techno loop", "answer": "s(\\"bd*8\\")", "usage": {"input_tokens": 9, "output_tokens": 5}}

One JSON object per line. The second record of a question answers its second draw, unless `draw` says
otherwise. A record with `system` answers only requests with exactly that system prompt, and takes precedence.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import msgspec

from polytune.errors import DataError, Obstacle, StepFailed
from polytune.spec.model import InputFile
from polytune.teachers.interface import (
    Answer,
    Request,
    Teacher,
    TeacherSpec,
    TokenUsage,
    redraws_apart,
)

characters_per_token = 4
shown_problems = 20
shown_characters = 80


class ReplaySpec(TeacherSpec):
    """Answers from a file of recorded answers, without a language model and at no cost."""

    path: InputFile
    """A JSONL file of objects with "prompt", "answer", and optionally "system", "draw" and "usage"."""
    on_missing: Literal["error"] = "error"
    """What to do with a request that the file does not answer: stop with an error that names it."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the file."""

    prompt: str
    answer: str
    system: str | None = None
    draw: int | None = None
    usage: TokenUsage | None = None


class Replay(Teacher):
    """Answers from a file, which is read once to build an index of byte offsets."""

    Spec: ClassVar[type[TeacherSpec]] = ReplaySpec
    label: ClassVar[str] = "replayed from recorded answers"

    async def answer(self, request: Request, draw: int) -> Answer:
        """Return the recorded answer. Raises StepFailed if there is none, DataError for an invalid file."""
        record = self._index.find(request, draw)
        if record is None:
            raise StepFailed(self._missing(request, draw))
        asked = len(request.system) + len(request.prompt)
        estimate = TokenUsage(input_tokens=_tokens(asked), output_tokens=_tokens(len(record.answer)))
        return Answer(text=record.answer, usage=record.usage or estimate)

    def unanswerable(self, request: Request, draw: int) -> Obstacle | None:
        """That the file has no such answer, or is no recording."""
        try:
            known = any(draw in self._index.places.get(each, {}) for each in _questions(request))
        except DataError as error:
            return Obstacle(str(error), "Correct the recording", "teacher.path")
        return None if known else Obstacle(self._missing(request, draw).rstrip("."), field="teacher.path")

    @cached_property
    def _index(self) -> _Index:
        return _read_index(self.files["path"])

    def _missing(self, request: Request, draw: int) -> str:
        prompt = " ".join(request.prompt.split())
        short = prompt if len(prompt) <= shown_characters else prompt[: shown_characters - 3] + "..."
        known = self._index.draws(request)
        held = f"it has {known} for this prompt" if known else "it has none for this prompt"
        again, number = divmod(draw, redraws_apart)
        redraw = f", redraw {again}," if again else ""
        return (
            f"{self.files['path']}: no recorded answer {number + 1}{redraw} to '{short}' ({held}). "
            "Add a line with this prompt and its answer, or lower the count of samples."
        )


@dataclass(frozen=True)
class _Index:
    """The location of each answer: question -> draw -> byte offset of its line."""

    path: Path
    places: dict[bytes, dict[int, int]] = field(default_factory=dict)

    def find(self, request: Request, draw: int) -> Recorded | None:
        # A draw that the record for this system prompt lacks may still be found without one.
        for question in _questions(request):
            offset = self.places.get(question, {}).get(draw)
            if offset is not None:
                return self._read(offset)
        return None

    def draws(self, request: Request) -> int:
        return len({draw for question in _questions(request) for draw in self.places.get(question, {})})

    def add(self, record: Recorded, offset: int) -> str:
        """Add a record to the index; returns what is wrong with it, '' when nothing is."""
        known = self.places.setdefault(_question(record.system, record.prompt), {})
        draw = len(known) if record.draw is None else record.draw
        if draw < 0:
            return f"draw must be 0 or more, not {draw}"
        if draw in known:
            return f"draw {draw} of this prompt is already recorded"
        known[draw] = offset
        return ""

    def _read(self, offset: int) -> Recorded:
        # Answers are read from the file again on demand: recordings can be larger than memory.
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                return msgspec.json.decode(file.readline(), type=Recorded)
        except (OSError, msgspec.MsgspecError) as error:
            raise DataError(f"{self.path}: changed while it was replayed: {error}") from error


def _read_index(path: Path) -> _Index:
    """Index every record. Raises DataError with the number and the problem of each bad line."""
    index, problems, offset = _Index(path), [], 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                what = _indexed(index, line, offset) if line.strip() else ""
                if what:
                    problems.append(f"{path}:{number}: {what}")
                offset += len(line)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from error
    # All bad lines at once: fixing a recording one error per run would be tedious.
    if problems:
        hidden = len(problems) - shown_problems
        more = [f"... and {hidden} more such lines"] if hidden > 0 else []
        raise DataError("\n".join(problems[:shown_problems] + more))
    return index


def _indexed(index: _Index, line: bytes, offset: int) -> str:
    try:
        return index.add(msgspec.json.decode(line, type=Recorded), offset)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return f"is not a recorded answer: {error}"


def _questions(request: Request) -> tuple[bytes, bytes]:
    """The index keys that may hold a request, in order of precedence."""
    return _question(request.system, request.prompt), _question(None, request.prompt)


def _question(system: str | None, prompt: str) -> bytes:
    """The index key of a question: 20 bytes instead of its text, so that large files have a small index."""
    return hashlib.sha256(msgspec.json.encode([system, prompt])).digest()[:20]


def _tokens(characters: int) -> int:
    return -(-characters // characters_per_token)
