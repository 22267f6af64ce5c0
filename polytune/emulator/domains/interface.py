"""The interface of emulated domains: answers on one subject that look like a real model's.

Without a matching domain the emulator answers with a short neutral text. Packages add a domain through the
entry-point group `polytune.emulator.domains`; `polytune/strudel/emulated.py` is an example.
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
    """A question to a model, independent of the API that it came through."""

    system: str = ""
    prompt: str = ""
    fields: Mapping[str, str | float] = field(default_factory=dict)
    """Structured fields of the request, such as `style` and `tempo`."""


class EmulatedDomain(ABC):
    """Answers questions about one subject."""

    @abstractmethod
    def covers(self, text: str) -> bool:
        """Whether a question belongs to the domain. `text` is its system prompt followed by its prompt."""

    @abstractmethod
    def answer(self, seed: str, question: DomainQuestion) -> str:
        """An answer. Equal arguments give the same text; another seed almost always gives another text."""


# A family, so that the emulator needs no knowledge of any domain: `strudel` registers like a third party.
DOMAINS = Family("emulator.domains", "domain", EmulatedDomain)


def answer_in(name: str, seed: str, question: DomainQuestion) -> str:
    """The answer of the domain called `name`, or a neutral text if it is not installed."""
    if name in DOMAINS.names():
        return DOMAINS.load(name)().answer(seed, question)
    return neutral_text(seed, question.prompt)


def neutral_text(seed: str, prompt: str) -> str:
    """A short text about the prompt, without any knowledge of its subject."""
    # Hashed, not random: the same question must get the same answer in every process and release of Python.
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big")
    number, opening = divmod(number, len(openings))
    topic = " ".join(prompt.split()[:shown_words]).rstrip(".,:;!?")
    return f"{openings[opening].format(topic=topic)} {middles[number % len(middles)]}"
