"""What an emulated model says: synthetic, but the same for the same question, and shaped like the real thing.

    custom model   the answer of the training row whose prompt is nearest to the question
    teacher        the answer of a domain that covers the question: a pattern for one about Strudel
    other models   a short neutral text

Tokens are estimated at four characters each, the figure the catalogue uses for Amazon Nova; no tokenizer
is involved.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from polytune.emulator.bedrock.world import ObjectStore
from polytune.emulator.domains.interface import DOMAINS, DomainQuestion, EmulatedDomain, neutral_text
from polytune.errors import PolytuneError
from polytune.evaluation.nearest import Nearest
from polytune.formats.interface import FORMATS, Conversation, Format

chars_per_token = 4

Ending = Literal["end_turn", "max_tokens", "stop_sequence"]


@dataclass(frozen=True)
class EmulatedQuestion:
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
class ModelBehaviour:
    """What stands behind the name of a model."""

    model: str
    """Foundation id or ARN; another model answers otherwise."""
    training: str = ""
    """The S3 URI of the rows it was trained on; '' for a model that saw none."""
    teaches: bool = False
    """Whether it is large enough to know domains, such as Strudel, without having been trained on them."""


class Speaker:
    """Answers for every model of an account; reads the training rows of each once."""

    def __init__(self, objects: ObjectStore | None) -> None:
        self._objects = objects
        self._learnt: dict[str, Nearest | None] = {}
        self._domains: list[EmulatedDomain] | None = None

    def answer(self, behaviour: ModelBehaviour, question: EmulatedQuestion) -> Completion:
        """What that model says to that question."""
        text, ending = _ended(self._text(behaviour, question), question)
        return Completion(text, ending, question.tokens, tokens_in(text))

    def _text(self, behaviour: ModelBehaviour, question: EmulatedQuestion) -> str:
        learnt = self._nearest(behaviour) if behaviour.training else None
        if learnt is not None:
            return learnt.answer(question.prompt)
        seed = "\0".join((behaviour.model, question.system, question.prompt))
        domain = self._domain(question) if behaviour.teaches else None
        if domain is not None:
            return domain.answer(seed, DomainQuestion(question.system, question.prompt))
        return neutral_text(seed, question.prompt)

    def _domain(self, question: EmulatedQuestion) -> EmulatedDomain | None:
        """The first domain that covers the question."""
        if self._domains is None:
            self._domains = [DOMAINS.load(name)() for name in DOMAINS.names()]
        text = f"{question.system}{question.prompt}"
        return next((domain for domain in self._domains if domain.covers(text)), None)

    def _nearest(self, behaviour: ModelBehaviour) -> Nearest | None:
        if behaviour.model not in self._learnt:
            pairs = list(self._pairs(behaviour.training))
            self._learnt[behaviour.model] = Nearest(pairs) if pairs else None
        return self._learnt[behaviour.model]

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


def _ended(text: str, question: EmulatedQuestion) -> tuple[str, Ending]:
    """The text up to where the caller wants it to end, and why it ends there."""
    ending: Ending = "end_turn"
    found = [place for stop in question.stops if stop and (place := text.find(stop)) >= 0]
    if found:
        text, ending = text[: min(found)], "stop_sequence"
    if question.max_tokens is not None and tokens_in(text) > question.max_tokens:
        text, ending = text[: question.max_tokens * chars_per_token], "max_tokens"
    return text, ending
