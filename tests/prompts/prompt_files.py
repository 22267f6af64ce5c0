"""Prompt files and plans, made for one test."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from polytune.prompts.library import Library, load_library
from polytune.prompts.matrix import Matrix
from polytune.prompts.plan import PlannedSample, plan
from polytune.prompts.seeds import SeedRow, SeedSet


def library(matrix: Matrix | Mapping[str, Any], seeds: SeedSet | None = None, **stated: Any) -> Library:
    """The library of a prompt file that states this."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.yaml"
        path.write_text(json.dumps(stated), encoding="utf-8")
        return load_library(path, matrix, shown="p.yaml", seeds=seeds)


def planned(
    matrix: Matrix | Mapping[str, Any], loaded: Library, amount: int, seed: int = 7
) -> list[PlannedSample]:
    """The first samples of the plan."""
    return list(islice(plan(matrix, loaded, seed), amount))


def seed_set(rows: Sequence[Mapping[str, Any]]) -> SeedSet:
    """Seeds named s0, s1, ..."""
    made = (SeedRow(f"s{number}", dict(row), number + 1) for number, row in enumerate(rows))
    return SeedSet("seeds.jsonl", tuple(made))
