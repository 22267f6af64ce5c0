"""What a customization job writes to S3: curves while it runs, and the files worth keeping at its end."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polytune.aws.objects import Objects
from polytune.engine.artifacts import Facts
from polytune.platforms.management import Curve, Curves

synthetic_mark = "SYNTHETIC.txt"
"""A file that only an emulator writes."""


@dataclass(frozen=True)
class JobFile:
    """One file of a job."""

    folder: str
    """The folder of the run that it is kept in."""
    columns: tuple[tuple[str, str], ...] = ()
    """The columns that may be its curve: their names in it, and ours. The first one with values counts."""


job_files = {
    "step_wise_training_metrics.csv": JobFile(
        "training_artifacts",
        (("training_loss", "training loss"), ("critic/rewards/mean", "mean reward")),
    ),
    "validation_metrics.csv": JobFile(
        "validation_artifacts",
        (("validation_loss", "validation loss"), ("val-score/rewards/mean@1", "validation reward")),
    ),
    "manifest.report.csv": JobFile("input_status"),
}
"""By name; a job writes more than these."""


def fetched(objects: Objects, job: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
    """The job's files are in the folder; the folders in it that they are in."""
    found = []
    for entry in objects.keys(_place(job)):
        name = entry.uri.rpartition("/")[2]
        if name in job_files:
            kept = job_files[name].folder
            (folder / kept).mkdir(exist_ok=True)
            objects.fetch(entry.uri, folder / kept / name)
            found.append(kept)
    return tuple(dict.fromkeys(found))


def read_curves(objects: Objects, job: Mapping[str, Any]) -> Curves:
    """The curves of a job, as GetModelCustomizationJob describes it; nothing is stored. Raises AwsFailure."""
    place = _place(job)
    if not place:
        return Curves()
    found, synthetic = [], False
    for entry in objects.keys(place):
        name = entry.uri.rpartition("/")[2]
        synthetic |= name == synthetic_mark
        if name in job_files and job_files[name].columns:
            lines = objects.read(entry.uri).decode(errors="replace").splitlines()
            found += _curve(job_files[name], lines)
    return Curves(curves=tuple(sorted(found, key=lambda curve: curve.name)), synthetic=synthetic)


def _place(job: Mapping[str, Any]) -> str:
    """The prefix below which the job writes; '' when it does not say."""
    uri = str((job.get("outputDataConfig") or {}).get("s3Uri") or "").rstrip("/")
    # The last part of the ARN is the job's id: twelve characters.
    return f"{uri}/model-customization-job-{str(job['jobArn']).rpartition('/')[2]}/" if uri else ""


def metrics(job: Mapping[str, Any], folder: Path) -> Facts:
    """Losses and the hyperparameters in force, as the API and the curves give them."""
    training = _losses(folder, "step_wise_training_metrics.csv")
    validation = _losses(folder, "validation_metrics.csv")
    stated = (job.get("trainingMetrics") or {}).get("trainingLoss")
    validated = [v.get("validationLoss") for v in job.get("validationMetrics") or []]
    found: Facts = {
        "hyperparameters_in_force": dict(job.get("hyperParameters") or {}),
        "training_loss": training[-1] if training else stated,
        "validation_loss": validation[-1] if validation else next(iter(validated), None),
        "steps": len(training),
    }
    return {name: value for name, value in found.items() if value is not None}


def _losses(folder: Path, name: str) -> list[float]:
    """The losses in a kept file; none for a file that is not there, or that holds rewards."""
    path = folder / job_files[name].folder / name
    if not path.is_file():
        return []
    loss, _ = job_files[name].columns[0]
    with path.open(encoding="utf-8", newline="") as file:
        return [value for _, value in _points(csv.DictReader(file), loss)]


def _curve(file: JobFile, lines: Iterable[str]) -> list[Curve]:
    rows = list(csv.DictReader(lines))
    for column, name in file.columns:
        points = tuple(_points(rows, column))
        if points:
            return [Curve(name=name, points=points)]
    return []


def _points(rows: Iterable[Mapping[str, Any]], column: str) -> Iterator[tuple[float, float]]:
    """Step and value of each row that has a number in the column."""
    for number, row in enumerate(rows):
        try:
            yield float(row.get("step_number") or number), float(row[column])
        except (KeyError, TypeError, ValueError):
            continue
