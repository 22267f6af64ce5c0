"""Prompts made of prompts: what a teacher is told to make another wording or a harder version of one.

a sample --paraphrase--> the same request in other words; the sample's answer answers it too
         --evolve------> a request that asks for more, one direction after the other; answered anew
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from polytune.fingerprint import fingerprint

How = Literal["paraphrase", "evolve"]

alone = "Reply with the new message alone: no greeting, no quotation marks, no explanation."
paraphrasing = (
    "The user's message is a request that someone else will answer. Write it in other words: another"
    " sentence, another order, another tone. It must ask for exactly the same: keep every name, number and"
    f" condition. Do not answer it. {alone}"
)
evolving = (
    "The user's message is a request that someone else will answer. Write a request of the same kind that"
    " is harder to fulfil: {}. Someone must still be able to fulfil it in one answer. Do not answer it. "
) + alone
directions = (
    "add one condition that can be checked in the answer",
    "put something particular in the place of something general",
    "ask for something of the same kind that is asked for less often",
    "let the answer need one more step of thought",
)
longest_growth = 2_000
"""Characters by which a derived prompt may be longer than its parent; more is an answer, not a prompt."""


@dataclass(frozen=True)
class DerivedPrompt:
    """One prompt to be derived from a sample's."""

    how: How
    system: str
    """What the teacher is told."""


@dataclass(frozen=True)
class Derivations:
    """How many prompts are derived from each, in which ways."""

    paraphrase: int = 0
    evolve: int = 0
    share: float = 1.0
    """Of the samples that have children."""
    instructions: tuple[str, ...] = ()
    """In the place of the directions of `evolve`: whole instructions, one after the other."""

    def children(self, sample: str) -> Iterator[DerivedPrompt]:
        """The children of the sample of this id: the same ones whatever other samples there are."""
        if self.share < 1.0 and _chance(sample) >= self.share:
            return
        for _ in range(self.paraphrase):
            yield DerivedPrompt("paraphrase", paraphrasing)
        told = self.instructions or tuple(map(evolving.format, directions))
        for number in range(self.evolve):
            yield DerivedPrompt("evolve", told[number % len(told)])


def derived(text: str) -> str:
    """The prompt in a teacher's answer: without fences, quotation marks and space around it."""
    found = text.strip()
    if found.startswith("```") and found.endswith("```") and "\n" in found:
        found = found[3:-3].partition("\n")[2].strip()
    for opening, closing in (('"', '"'), ("'", "'"), ("“", "”")):
        if len(found) > 1 and found[0] == opening and found[-1] == closing:
            found = found[1:-1].strip()
    return found


def fault(parent: str, text: str) -> str:
    """Why an answer holds no prompt derived from its parent; '' when it does."""
    found = derived(text)
    if not found:
        return "it has no prompt"
    if " ".join(found.lower().split()) == " ".join(parent.lower().split()):
        return "it is the prompt that it was made of"
    if len(found) > len(parent) + longest_growth:
        return f"it is {len(found):,} characters long, so it is no prompt"
    return ""


def _chance(sample: str) -> float:
    return int(fingerprint("polytune.derived.v1", sample)[:13], 16) / (1 << 52)
