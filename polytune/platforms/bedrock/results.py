"""What a finished customization job left: its model, the values in force, and the curves from S3."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from polytune.aws.objects import Objects
from polytune.engine.artifacts import Facts

curves = {
    "step_wise_training_metrics.csv": "training_artifacts",
    "validation_metrics.csv": "validation_artifacts",
    "manifest.report.csv": "input_status",
}
"""The files worth keeping, and the folder of the run that they go to."""
synthetic_mark = "SYNTHETIC.txt"


def fetched(objects: Objects, job: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
    """The job's metrics files are in the folder; the folders they are in."""
    place = f"{str(job['outputDataConfig']['s3Uri']).rstrip('/')}/model-customization-job-{job_id(job)}/"
    found = []
    for entry in objects.keys(place):
        name = entry.uri.rpartition("/")[2]
        if name in curves:
            (folder / curves[name]).mkdir(exist_ok=True)
            objects.fetch(entry.uri, folder / curves[name] / name)
            found.append(curves[name])
    return tuple(dict.fromkeys(found))


def job_id(job: Mapping[str, Any]) -> str:
    """The twelve characters at the end of a job's ARN."""
    return str(job["jobArn"]).rpartition("/")[2]


def metrics(job: Mapping[str, Any], folder: Path) -> Facts:
    """Losses and the hyperparameters in force, as the API and the curves give them."""
    found: Facts = {"hyperparameters_in_force": dict(job.get("hyperParameters") or {})}
    training = _column(folder / "training_artifacts" / "step_wise_training_metrics.csv", "training_loss")
    validation = _column(folder / "validation_artifacts" / "validation_metrics.csv", "validation_loss")
    stated = (job.get("trainingMetrics") or {}).get("trainingLoss")
    validated = [v.get("validationLoss") for v in job.get("validationMetrics") or []]
    found["training_loss"] = training[-1] if training else stated
    found["validation_loss"] = validation[-1] if validation else next(iter(validated), None)
    found["steps"] = len(training)
    return {name: value for name, value in found.items() if value is not None}


def _column(path: Path, name: str) -> list[float]:
    return list(_values(path, name)) if path.is_file() else []


def _values(path: Path, name: str) -> Iterator[float]:
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            try:
                yield float(row[name])
            except (KeyError, TypeError, ValueError):
                continue
