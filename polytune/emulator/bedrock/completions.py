"""Answers of emulated models: synthetic, deterministic for a given question, and in realistic formats.

    custom model   the answer of the training row whose prompt is nearest to the question
    teacher        an answer from a domain that covers the question, such as a Strudel pattern
    other models   a short neutral text

Token counts are estimates at four characters per token, the catalogue's figure for Amazon Nova. No
tokenizer is used.
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
    """A question to a model, independent of the request's layout."""

    prompt: str
    """The text of every message, oldest first, separated by blank lines."""
    system: str = ""
    max_tokens: int | None = None
    stops: tuple[str, ...] = ()
    """Stop sequences: the answer ends before the first one."""

    @property
    def tokens(self) -> int:
        """The estimated number of input tokens."""
        return tokens_in(self.system) + tokens_in(self.prompt)


@dataclass(frozen=True)
class Completion:
    """A model's answer."""

    text: str
    ending: Ending
    input_tokens: int
    output_tokens: int

    def pieces(self, characters: int = 20) -> list[str]:
        """The text in pieces, as a stream sends them. Joined, they are the text."""
        # A stream sends at least one delta, even for an empty answer.
        return [self.text[at : at + characters] for at in range(0, len(self.text), characters)] or [""]


@dataclass(frozen=True)
class ModelBehaviour:
    """How the model with a given id answers."""

    model: str
    """Foundation model id or ARN. It is part of the seed: different models give different answers."""
    training: str = ""
    """The S3 URI of its training rows; '' if it was not trained on any."""
    teaches: bool = False
    """Whether it knows domains, such as Strudel, without training on them: true for large models."""


class Speaker:
    """Answers for every model of an account. Reads each model's training rows once."""

    def __init__(self, objects: ObjectStore | None) -> None:
        self._objects = objects
        self._learnt: dict[str, Nearest | None] = {}
        self._domains: list[EmulatedDomain] | None = None

    def answer(self, behaviour: ModelBehaviour, question: EmulatedQuestion) -> Completion:
        """The model's answer to the question."""
        text, ending = _ended(self._text(behaviour, question), question)
        return Completion(text, ending, question.tokens, tokens_in(text))

    def _text(self, behaviour: ModelBehaviour, question: EmulatedQuestion) -> str:
        # A nearest-neighbour answer makes a trained model visibly better than its base in a rehearsed
        # evaluation, without training anything.
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
        # The user may have deleted the training data: AWS keeps a model that has lost its bucket.
        try:
            lines = self._objects.read(uri).splitlines()
        except PolytuneError:
            return
        yield from pairs_in(lines)


def pairs_in(lines: list[bytes]) -> Iterator[tuple[str, str]]:
    """Prompt and answer of each training row that has both. The first row decides the layout of the file."""
    layouts = [FORMATS.load(name)() for name in FORMATS.names()]
    layout = next((one for one in layouts if lines and _row(one, lines[0]) is not None), None)
    if layout is None:
        return
    for line in lines:
        row = _row(layout, line)
        if row is not None and row.turns and row.turns[-1].role == "assistant":
            yield "\n\n".join(turn.text for turn in row.turns[:-1]), row.turns[-1].text


def tokens_in(text: str) -> int:
    """The estimated number of tokens, rounded up; 0 for an empty text."""
    return math.ceil(len(text) / chars_per_token)


def _row(layout: Format, line: bytes) -> Conversation | None:
    """The row if it is valid in this layout, else None."""
    reading = layout.check(line, 1)
    wrong = any(finding.severity == "error" for finding in reading.findings)
    return None if wrong or reading.conversation is None else reading.conversation


def _ended(text: str, question: EmulatedQuestion) -> tuple[str, Ending]:
    """The text cut at the first stop sequence and the token limit, and the reason why it ends."""
    ending: Ending = "end_turn"
    found = [place for stop in question.stops if stop and (place := text.find(stop)) >= 0]
    if found:
        text, ending = text[: min(found)], "stop_sequence"
    if question.max_tokens is not None and tokens_in(text) > question.max_tokens:
        text, ending = text[: question.max_tokens * chars_per_token], "max_tokens"
    return text, ending
