"""What an emulated model says: synthetic, but the same for the same question, and shaped like the real thing.

    custom model   the answer of the training row whose prompt is nearest to the question
    teacher        a Strudel pattern when the question is about Strudel
    other models   a short general text

Tokens are estimated at four characters each, the figure the catalogue uses for Amazon Nova; no tokenizer
is involved.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from polytune.emulator._patterns import palettes, voices, write_pattern
from polytune.emulator.bedrock.world import ObjectStore
from polytune.errors import PolytuneError
from polytune.evaluation.nearest import Nearest
from polytune.formats.interface import FORMATS, Conversation, Format

chars_per_token = 4
shown_words = 8
marked = re.compile(r"\b(STYLE|COMPLEXITY):\s*(\w+)")
word = re.compile(r"[a-z]+")
openings = (
    "This is about: {topic}.",
    "A few words on: {topic}.",
    "The request in short: {topic}.",
    "On the subject of: {topic}.",
)
middles = (
    "There are several ways to go about it, and the simplest is usually a good start.",
    "It helps to begin small, listen to the result and change one thing at a time.",
    "The details depend on taste; a plain version shows best what is missing.",
)

Ending = Literal["end_turn", "max_tokens", "stop_sequence"]


@dataclass(frozen=True)
class Question:
    """What a model is asked, whatever the layout of the request."""

    prompt: str
    """The text of every message, oldest first, a blank line between two."""
    system: str = ""
    max_tokens: int | None = None
    stops: tuple[str, ...] = ()
    """Texts before which an answer ends."""

    @property
    def tokens(self) -> int:
        """An estimate of how long it is."""
        return tokens_in(self.system) + tokens_in(self.prompt)


@dataclass(frozen=True)
class Completion:
    """What a model answers."""

    text: str
    ending: Ending
    input_tokens: int
    output_tokens: int

    def pieces(self, characters: int = 20) -> list[str]:
        """The text as a stream sends it; joined, they are the text."""
        return [self.text[at : at + characters] for at in range(0, len(self.text), characters)] or [""]


@dataclass(frozen=True)
class Mind:
    """What stands behind the name of a model."""

    model: str
    """Foundation id or ARN; another model answers otherwise."""
    training: str = ""
    """The S3 URI of the rows it was trained on; '' for a model that saw none."""
    teaches: bool = False
    """Whether it is large enough to know Strudel by itself."""


class Speaker:
    """Answers for every model of an account; reads the training rows of each once."""

    def __init__(self, objects: ObjectStore | None) -> None:
        self._objects = objects
        self._learnt: dict[str, Nearest | None] = {}

    def answer(self, mind: Mind, question: Question) -> Completion:
        """What that model says to that question."""
        text, ending = _ended(self._text(mind, question), question)
        return Completion(text, ending, question.tokens, tokens_in(text))

    def _text(self, mind: Mind, question: Question) -> str:
        learnt = self._nearest(mind) if mind.training else None
        if learnt is not None:
            return learnt.answer(question.prompt)
        seed = "\0".join((mind.model, question.system, question.prompt))
        if mind.teaches and "strudel" in f"{question.system}{question.prompt}".lower():
            return _pattern(seed, question)
        return _general(seed, question)

    def _nearest(self, mind: Mind) -> Nearest | None:
        if mind.model not in self._learnt:
            pairs = list(self._pairs(mind.training))
            self._learnt[mind.model] = Nearest(pairs) if pairs else None
        return self._learnt[mind.model]

    def _pairs(self, uri: str) -> Iterator[tuple[str, str]]:
        if self._objects is None:
            return
        try:
            lines = self._objects.read(uri).splitlines()
        except PolytuneError:
            return
        yield from pairs_in(lines)


def pairs_in(lines: list[bytes]) -> Iterator[tuple[str, str]]:
    """Prompt and answer of each training row that has both, in whichever layout the first row is."""
    layouts = [FORMATS.load(name)() for name in FORMATS.names()]
    layout = next((one for one in layouts if lines and _row(one, lines[0]) is not None), None)
    if layout is None:
        return
    for line in lines:
        row = _row(layout, line)
        if row is not None and row.turns and row.turns[-1].role == "assistant":
            yield "\n\n".join(turn.text for turn in row.turns[:-1]), row.turns[-1].text


def tokens_in(text: str) -> int:
    """An estimate; 0 for no text."""
    return math.ceil(len(text) / chars_per_token)


def _row(layout: Format, line: bytes) -> Conversation | None:
    """The row, when the layout has no fault to find with it."""
    reading = layout.check(line, 1)
    wrong = any(finding.severity == "error" for finding in reading.findings)
    return None if wrong or reading.conversation is None else reading.conversation


def _ended(text: str, question: Question) -> tuple[str, Ending]:
    """The text up to where the caller wants it to end, and why it ends there."""
    ending: Ending = "end_turn"
    found = [place for stop in question.stops if stop and (place := text.find(stop)) >= 0]
    if found:
        text, ending = text[: min(found)], "stop_sequence"
    if question.max_tokens is not None and tokens_in(text) > question.max_tokens:
        text, ending = text[: question.max_tokens * chars_per_token], "max_tokens"
    return text, ending


def _pattern(seed: str, question: Question) -> str:
    """A piece in the style that the system prompt states, or the first that the prompt names."""
    stated = {kind: value.lower() for kind, value in marked.findall(question.system)}
    words = word.findall(question.prompt.lower())
    style = stated.get("STYLE") or next((w for w in words if w in palettes), None)
    complexity = stated.get("COMPLEXITY") or next((w for w in words if w in voices), "medium")
    return write_pattern(seed, style, complexity, None)


def _general(seed: str, question: Question) -> str:
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big")
    number, opening = divmod(number, len(openings))
    topic = " ".join(question.prompt.split()[:shown_words]).rstrip(".,:;!?")
    return f"{openings[opening].format(topic=topic)} {middles[number % len(middles)]}"
