"""What an emulated model knows of one domain: answers that look like those of a real model.

Without a domain the emulator answers with a short neutral text. Other packages add a domain through the
entry-point group `polytune.emulator.domains`; `polytune/strudel/emulated.py` is one.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from polytune.registry import Family

shown_words = 8
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


@dataclass(frozen=True)
class DomainQuestion:
    """What a model is asked, in whichever way an API lets a caller say it."""

    system: str = ""
    prompt: str = ""
    fields: Mapping[str, str | float] = field(default_factory=dict)
    """What a caller states in fields of its own, such as `style` and `tempo`."""


class EmulatedDomain(ABC):
    """What an emulated model knows of one domain."""

    @abstractmethod
    def covers(self, text: str) -> bool:
        """Whether a question belongs to the domain; `text` is its system prompt and its prompt."""

    @abstractmethod
    def answer(self, seed: str, question: DomainQuestion) -> str:
        """An answer; equal arguments give equal text, other seeds almost always another text."""


DOMAINS = Family("emulator.domains", "domain", EmulatedDomain)


def answer_in(name: str, seed: str, question: DomainQuestion) -> str:
    """The answer of the domain called `name`, or a neutral text where no such domain is installed."""
    if name in DOMAINS.names():
        return DOMAINS.load(name)().answer(seed, question)
    return neutral_text(seed, question.prompt)


def neutral_text(seed: str, prompt: str) -> str:
    """A short text about the prompt that claims to know nothing."""
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big")
    number, opening = divmod(number, len(openings))
    topic = " ".join(prompt.split()[:shown_words]).rstrip(".,:;!?")
    return f"{openings[opening].format(topic=topic)} {middles[number % len(middles)]}"
