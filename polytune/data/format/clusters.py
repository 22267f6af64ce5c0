"""A first pass over all samples for `format`: finds near-duplicates to drop, and clusters to keep together.

    samples.jsonl --> Alike --> rows to drop, clusters --> Formatting

Only needed when near-duplicates are dropped or clusters are kept in one split.
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
    """When two samples count as similar."""

    kind: Kind
    threshold: float
    """The minimum likeness, 0.5 to 1; not used for `exact`."""


class Grouping:
    """The samples to drop, and the cluster of each sample."""

    def __init__(self, samples: Path, dedupe: Criterion, cluster: Criterion | None) -> None:
        """Without a criterion for clusters, every prompt is a cluster of its own.

        Raises what `Alike` raises, and DataError when the file cannot be read.
        """
        texts = RowTexts(samples)
        self.drops_near = dedupe.kind == "near"
        self.gone: set[int] = set()
        """Indices, from 0, of samples that are similar to one that is kept."""
        self.clusters: list[int] = []
        """The cluster of each sample; empty when every prompt is a cluster of its own."""
        self.sides: list[int] = []
        """The split of each sample so far, in order; -1 for a dropped one."""
        alike = Alike(texts, "near", dedupe.threshold) if self.drops_near else None
        if alike is not None:
            self.gone = {duplicate.number for duplicate in alike.kept()}
        self._clustering: Alike | None = None
        if cluster is not None:
            # Signatures cost minutes for large files: computed once if both criteria are the same.
            shared = alike is not None and cluster == dedupe
            self._clustering = alike if shared else Alike(texts, cluster.kind, cluster.threshold)
        if self._clustering is not None:
            prompts, seeds = _origins(samples)
            self.clusters = self._clustering.clusters(prompts, seeds)

    def crossing(self) -> int | None:
        """The number of pairs of similar samples in different splits, which is 0; None without clustering.

        Raises StepFailed if there are any.
        """
        # Checked although clusters rule it out: a leak into the test split would invalidate every score.
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
    """For each sample a name for its prompt, ignoring whitespace, and a name for the seed it came from."""
    decoder = msgspec.json.Decoder(_ClusterFields)
    prompts, seeds = [], []
    for block in blocks(samples):
        for origin in map(decoder.decode, block.lines):
            prompts.append(f"{hash(bare(origin.prompt)):x}")
            seeds.append(str(origin.seed))
    return prompts, seeds
