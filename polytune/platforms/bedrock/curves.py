"""The loss curves of a customization job, read from where it writes them; nothing is stored."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from polytune.aws.objects import Objects
from polytune.platforms.bedrock.results import job_id, synthetic_mark

files = {
    "step_wise_training_metrics.csv": (
        ("training_loss", "training loss"),
        ("critic/rewards/mean", "mean reward"),
    ),
    "validation_metrics.csv": (
        ("validation_loss", "validation loss"),
        ("val-score/rewards/mean@1", "validation reward"),
    ),
}
"""Each file, and the columns that may be its curve: their names in it, and ours."""


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """One curve."""

    name: str
    points: tuple[tuple[float, float], ...]
    """Step and value."""


class Curves(msgspec.Struct, frozen=True, kw_only=True):
    """What a job has written so far."""

    curves: tuple[Curve, ...] = ()
    synthetic: bool = False
    """Whether an emulator made the figures up."""


def read_curves(objects: Objects, job: Mapping[str, Any]) -> Curves:
    """The curves of a job, as GetModelCustomizationJob describes it. Raises AwsFailure."""
    place = str((job.get("outputDataConfig") or {}).get("s3Uri") or "").rstrip("/")
    if not place:
        return Curves()
    found, synthetic = [], False
    for entry in objects.keys(f"{place}/model-customization-job-{job_id(job)}/"):
        name = entry.uri.rpartition("/")[2]
        synthetic |= name == synthetic_mark
        if name in files:
            curve = _curve(name, objects.read(entry.uri).decode(errors="replace"))
            found += [curve] if curve else []
    return Curves(curves=tuple(sorted(found, key=lambda curve: curve.name)), synthetic=synthetic)


def _curve(file: str, text: str) -> Curve | None:
    rows = list(csv.DictReader(io.StringIO(text)))
    for column, name in files[file]:
        points = tuple(_points(rows, column))
        if points:
            return Curve(name=name, points=points)
    return None


def _points(rows: list[dict[str, Any]], column: str) -> Iterator[tuple[float, float]]:
    for number, row in enumerate(rows):
        try:
            yield float(row.get("step_number") or number), float(row[column])
        except (KeyError, TypeError, ValueError):
            continue
