"""What `format` must know of all samples before it places the first: who repeats whom, who belongs together.

    samples.jsonl --> Alike --> rows that go, clusters --> Formatting

A first pass over the samples, made only when near-duplicates are dropped or clusters are kept on one side.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from polytune.data.duplicates import Alike, Kind
from polytune.data.hashes import bare
from polytune.data.lines import blocks
from polytune.data.rowtexts import RowTexts
from polytune.errors import StepFailed

Clustering = Literal["prompt", "exact", "near"]


class Grouping:
    """The samples that go, and the cluster of each."""

    def __init__(self, samples: Path, dedupe: Kind, cluster: Clustering, threshold: float) -> None:
        """Raises what `Alike` raises, and DataError when the file cannot be read."""
        self.clustered = cluster != "prompt"
        self.drops_near = dedupe == "near"
        near = "near" in (dedupe, cluster)
        self._alike = Alike(RowTexts(samples), "near" if near else "exact", threshold)
        self._strict = Alike(RowTexts(samples), "exact") if near and cluster == "exact" else self._alike
        self.gone = {duplicate.number for duplicate in self._alike.kept()} if dedupe == "near" else set[int]()
        """Places of samples, from 0, that are like one that stays."""
        self.clusters: list[int] = []
        """The cluster of each sample; empty when every prompt is one of its own."""
        if self.clustered:
            prompts, seeds = zip(*_origins(samples), strict=True) if len(RowTexts(samples)) else ((), ())
            self.clusters = self._strict.clusters(prompts, seeds)
        self.sides: list[int] = []
        """The split of each sample that was placed, -1 for one that has gone; in order."""

    def crossing(self) -> int:
        """Pairs of samples that are alike and stand in different splits. Raises StepFailed for any."""
        found = self._strict.crossing(self.sides) if self.clustered else 0
        if found:
            raise StepFailed(f"{found:,} pairs of samples that are alike stand in different splits: a defect")
        return found


class _Origin(msgspec.Struct, gc=False):
    prompt: str
    seed: str | int = ""


class _Names(NamedTuple):
    prompt: str
    seed: str


def _origins(samples: Path) -> Iterator[_Names]:
    """For each sample a name for its prompt, whitespace aside, and one for the seed that it stems from."""
    decoder = msgspec.json.Decoder(_Origin)
    for block in blocks(samples):
        for origin in map(decoder.decode, block.lines):
            yield _Names(f"{hash(bare(origin.prompt)):x}", str(origin.seed))
