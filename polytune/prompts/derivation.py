"""Derives prompts from prompts: the instructions to a teacher for a paraphrase or a harder version.

a sample --paraphrase--> the same request in other words; the sample's answer fits it too
         --evolve------> a more demanding request, following each direction in turn; it gets a new answer
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
"""Maximum growth of a derived prompt over its parent, in characters; more is likely an answer."""


@dataclass(frozen=True)
class DerivedPrompt:
    """One prompt to derive from a sample's."""

    how: How
    system: str
    """The instruction to the teacher."""


@dataclass(frozen=True)
class Derivations:
    """How many prompts to derive from each sample, and how."""

    paraphrase: int = 0
    evolve: int = 0
    share: float = 1.0
    """Share of samples that prompts are derived from."""
    instructions: tuple[str, ...] = ()
    """Complete instructions that replace the directions of `evolve`, used in turn."""

    def children(self, sample: str) -> Iterator[DerivedPrompt]:
        """Yield the prompts to derive from a sample. They depend on its id only, not on other samples."""
        if self.share < 1.0 and _chance(sample) >= self.share:
            return
        for _ in range(self.paraphrase):
            yield DerivedPrompt("paraphrase", paraphrasing)
        told = self.instructions or tuple(map(evolving.format, directions))
        for number in range(self.evolve):
            yield DerivedPrompt("evolve", told[number % len(told)])


def derived(text: str) -> str:
    """Return the prompt in a teacher's answer, without code fences, quotation marks and surrounding space."""
    found = text.strip()
    if found.startswith("```") and found.endswith("```") and "\n" in found:
        found = found[3:-3].partition("\n")[2].strip()
    for opening, closing in (('"', '"'), ("'", "'"), ("“", "”")):
        if len(found) > 1 and found[0] == opening and found[-1] == closing:
            found = found[1:-1].strip()
    return found


def fault(parent: str, text: str) -> str:
    """Return why an answer is not a prompt derived from its parent; '' when it is."""
    found = derived(text)
    if not found:
        return "it has no prompt"
    if " ".join(found.lower().split()) == " ".join(parent.lower().split()):
        return "it is the prompt that it was made of"
    if len(found) > len(parent) + longest_growth:
        return f"it is {len(found):,} characters long, so it is no prompt"
    return ""


def _chance(sample: str) -> float:
    # 13 hex digits are 52 bits, which a float holds exactly. A hash, not a random generator, so that a
    # sample is chosen independently of how many others there are.
    return int(fingerprint("polytune.derived.v1", sample)[:13], 16) / (1 << 52)
