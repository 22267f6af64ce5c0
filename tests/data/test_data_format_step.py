"""The format step in an experiment: what is dropped and clustered is a choice, and the default is as ever."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from polytune.steps.format import FormatSpec

EXPERIMENT = """\
name: lines
project: lines
seed: 7
platform: {kind: local}
steps:
  generate:
    prompts: ../prompts/lines.yaml
    teacher: {kind: replay, path: ../answers/lines.jsonl}
    count: 40
    matrix: {audience: [customers, engineers]}
"""


def program(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The program has ended well."""
    command = [sys.executable, "-m", "polytune", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with prompts and answers."""
    folder = tmp_path_factory.mktemp("format") / "lines"
    program(Path.cwd(), "init", str(folder))
    return folder


def formatted(space: Path, name: str, said: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The metrics of the format step when the file says so, and the provenance it wrote."""
    (space / f"experiments/{name}.yaml").write_text(EXPERIMENT.replace("name: lines", f"name: {name}") + said)
    program(space, "run", f"experiments/{name}.yaml")
    (manifest,) = (space / "runs" / name).glob("*/manifest.json")
    metrics = json.loads(manifest.read_text())["steps"]["format"]["metrics"]
    lines = (manifest.parent / "format/provenance.jsonl").read_text().splitlines()
    return metrics, [json.loads(line) for line in lines]


def test_the_default_looks_for_nothing_more(space: Path) -> None:
    """Without a word about it there are neither clusters nor near-duplicates in metrics and provenance."""
    metrics, provenance = formatted(space, "plain", "  format: {}\n")

    assert set(metrics) == {"samples", "duplicates", "prompts", "rows", "cells"}
    assert all("cluster" not in origin for origin in provenance)


def test_clusters_and_near_duplicates_are_a_choice(space: Path) -> None:
    """The metrics say what was dropped and that no pair crosses; provenance names the cluster."""
    said = "  format: {dedupe: {kind: near, threshold: 0.9}, split: {cluster: near, threshold: 0.6}}\n"

    metrics, provenance = formatted(space, "near", said)

    splits: dict[int, set[str]] = {}
    for origin in provenance:
        splits.setdefault(origin["cluster"], set()).add(origin["split"])
    assert metrics["crossing_pairs"] == 0
    assert metrics["clusters"] == len(splits)
    assert metrics["samples"] == metrics["duplicates"] + metrics["near_duplicates"] + len(provenance)
    assert all(len(found) == 1 for found in splits.values())


@pytest.mark.parametrize(
    "spec",
    [{"dedupe": {"kind": "fuzzy"}}, {"dedupe": {"threshold": 0.2}}, {"split": {"cluster": "semantic"}}],
)
def test_other_words_are_refused(spec: dict[str, Any]) -> None:
    """Kinds that do not exist and thresholds that cannot be met are no spec."""
    with pytest.raises(ValueError, match=next(iter(spec))):
        FormatSpec.model_validate(spec)
