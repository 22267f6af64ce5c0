"""What `format` must know of all samples before it places the first: which repeat, and which belong together.

    samples.jsonl --> Alike --> rows that go, clusters --> Formatting

A first pass over the samples, made only when near-duplicates are dropped or clusters are kept on one side.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from polytune.data.dedupe.duplicates import Alike, Kind
from polytune.data.dedupe.row_texts import RowTexts
from polytune.data.hashes import bare
from polytune.data.lines import blocks
from polytune.errors import StepFailed

Clustering = Literal["prompt", "exact", "near"]


@dataclass(frozen=True)
class Criterion:
    """When two samples are alike."""

    kind: Kind
    threshold: float
    """From which likeness on, 0.5 to 1; without meaning for `exact`."""


class Grouping:
    """The samples that go, and the cluster of each."""

    def __init__(self, samples: Path, dedupe: Criterion, cluster: Criterion | None) -> None:
        """Without a criterion for clusters every prompt is one of its own.

        Raises what `Alike` raises, and DataError when the file cannot be read.
        """
        texts = RowTexts(samples)
        self.drops_near = dedupe.kind == "near"
        self.gone: set[int] = set()
        """Places of samples, from 0, that are like one that stays."""
        self.clusters: list[int] = []
        """The cluster of each sample; empty when every prompt is one of its own."""
        self.sides: list[int] = []
        """The split of each sample that was placed, -1 for one that has gone; in order."""
        alike = Alike(texts, "near", dedupe.threshold) if self.drops_near else None
        if alike is not None:
            self.gone = {duplicate.number for duplicate in alike.kept()}
        self._clustering: Alike | None = None
        if cluster is not None:
            shared = alike is not None and cluster == dedupe
            self._clustering = alike if shared else Alike(texts, cluster.kind, cluster.threshold)
        if self._clustering is not None:
            prompts, seeds = _origins(samples)
            self.clusters = self._clustering.clusters(prompts, seeds)

    def crossing(self) -> int | None:
        """Pairs of samples that are alike and stand in different splits; None without clustering.

        Raises StepFailed for any.
        """
        if self._clustering is None:
            return None
        found = self._clustering.crossing(self.sides)
        if found:
            raise StepFailed(f"{found:,} pairs of samples that are alike stand in different splits: a defect")
        return found


class _ClusterFields(msgspec.Struct, gc=False):
    prompt: str
    seed: str | int = ""


def _origins(samples: Path) -> tuple[list[str], list[str]]:
    """For each sample a name for its prompt, whitespace aside, and one for the seed that it stems from."""
    decoder = msgspec.json.Decoder(_ClusterFields)
    prompts, seeds = [], []
    for block in blocks(samples):
        for origin in map(decoder.decode, block.lines):
            prompts.append(f"{hash(bare(origin.prompt)):x}")
            seeds.append(str(origin.seed))
    return prompts, seeds
