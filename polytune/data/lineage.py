"""What a sample may say besides its question and answer: where it stems from, and the turns between."""

from __future__ import annotations

import msgspec

from polytune.data.samples import FollowUp, Sample, SampleUsage


class Said(FollowUp, frozen=True, kw_only=True):
    """A follow-up, with what its answer took."""

    request: str
    """The digest of the request that was answered."""
    draw: int = 0
    usage: SampleUsage = SampleUsage()
    price_usd: float | None = 0.0


class Derivation(msgspec.Struct, frozen=True, kw_only=True):
    """The answer that a derived prompt is: who was asked to make it, and how."""

    how: str
    """`paraphrase` or `evolve`."""
    request: str
    draw: int = 0
    answer: str
    """As it came: the prompt, perhaps with something around it."""
    usage: SampleUsage = SampleUsage()
    price_usd: float | None = 0.0


class LinkedSample(Sample, frozen=True, kw_only=True):
    """A sample with its links; a line of `samples.jsonl` has only those that it needs."""

    seed: str | msgspec.UnsetType = msgspec.UNSET
    """The seed that it stems from: samples of one seed belong on one side of a split."""
    parent: str | msgspec.UnsetType = msgspec.UNSET
    """The id of the sample that its prompt was derived from."""
    derivation: Derivation | msgspec.UnsetType = msgspec.UNSET
    follow_ups: tuple[Said, ...] | msgspec.UnsetType = msgspec.UNSET
    """What came between its prompt and its last answer."""
