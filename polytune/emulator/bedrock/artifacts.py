"""The files that a customization job writes to S3, in the layout of real jobs.

    <output>/.write_access_check_file.temp                          when validation starts
    <output>/model-customization-job-<id>/
        input_status/<file>/manifest.report.csv                     when the data has been accepted
        validated_data/<file>/validated_prompts.jsonl
        training_artifacts/step_wise_training_metrics.csv           when training is complete
        validation_artifacts/post_fine_tuning_validation/validation/validation_metrics.csv
        SYNTHETIC.txt                                               emulator only: says that losses are fake

Sources: docs.aws.amazon.com/bedrock/latest/userguide/model-customization-analyze.html and AWS's notebooks.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from polytune.emulator.bedrock.dataset import DataFile, Dataset
from polytune.emulator.bedrock.storage import JobStorage, name_of

most_steps = 2000
"""Limits the size of the metrics files of large jobs."""
rows_per_step = 8
"""The assumed batch size; it decides the number of steps."""


@dataclass(frozen=True)
class CurveStep:
    """One line of a metrics file."""

    number: int
    """Counted from 0."""
    epoch: int
    """Counted from 0."""
    loss: float


@dataclass(frozen=True)
class LossCurve:
    """The synthetic losses of one job."""

    training: tuple[CurveStep, ...]
    validation: tuple[CurveStep, ...]

    @property
    def training_loss(self) -> float:
        """The training loss of the last step."""
        return self.training[-1].loss

    @property
    def validation_loss(self) -> float:
        """The validation loss of the last epoch."""
        return self.validation[-1].loss


def synthetic(seed: str, rows: int, epochs: int) -> LossCurve:
    """The loss curve of a job with this many rows and epochs. Equal arguments give equal curves."""
    # Exponential decay from a plausible start to a plausible floor, with noise: looks like a healthy job.
    dice = random.Random(seed)
    start, floor = dice.uniform(1.8, 2.6), dice.uniform(0.25, 0.6)
    per_epoch = max(1, min(most_steps // max(1, epochs), math.ceil(rows / rows_per_step)))
    steps = per_epoch * max(1, epochs)

    def loss(progress: float, rough: float) -> float:
        return round(floor + (start - floor) * math.exp(-4 * progress) + dice.uniform(-rough, rough), 6)

    training = tuple(
        CurveStep(number, number // per_epoch, loss(number / steps, 0.05)) for number in range(steps)
    )
    validation = tuple(
        # Measured after each epoch, and slightly above the training loss, as on unseen data.
        CurveStep((epoch + 1) * per_epoch - 1, epoch, loss((epoch + 1) / max(1, epochs), 0.02) + 0.1)
        for epoch in range(max(1, epochs))
    )
    return LossCurve(training, validation)


def table(steps: tuple[CurveStep, ...], loss_name: str) -> bytes:
    """The content of a metrics file: `step_number,epoch_number,<loss_name>,perplexity`."""
    return _csv(
        ("step_number", "epoch_number", loss_name, "perplexity"),
        [(step.number, step.epoch, step.loss, round(math.exp(step.loss), 6)) for step in steps],
    )


def rewards(curve: LossCurve) -> bytes:
    """The metrics file of a reinforcement fine-tuning job: rewards rise as the synthetic loss falls."""
    # The metric names are AWS's; how a real file arranges them is not published (docs/emulator.md).
    highest = max(step.loss for step in curve.training)
    mean: Callable[[CurveStep], float] = lambda step: round(max(0.0, 1 - step.loss / highest), 6)  # noqa: E731
    return _csv(
        ("step_number", "epoch_number", "critic/rewards/mean", "critic/rewards/max", "critic/rewards/min"),
        [(step.number, step.epoch, mean(step), min(1.0, mean(step) + 0.2), 0.0) for step in curve.training],
    )


def _csv(header: tuple[str, ...], rows: list[tuple[float, ...]]) -> bytes:
    lines = [",".join(header), *(",".join(map(str, row)) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


synthetic_note = b"""These files were written by polytune's Bedrock emulator.
No model was trained. The losses are synthetic and say nothing about the data.
"""
report_header = (
    "fileName,totalProcessedRecordCount,acceptedRecordCount,partiallyAcceptedRecordCount,rejectedRecordCount"
)


def folder_of(output: str, job_id: str) -> str:
    """The URI of the folder with all files of a job."""
    return f"{output.rstrip('/')}/model-customization-job-{job_id}"


def write_accepted(storage: JobStorage, folder: str, dataset: Dataset) -> None:
    """The copies of the accepted data and their reports have been written. Raises JobRefused."""
    for file in dataset.files:
        name = name_of(file.uri.rstrip("/"))
        storage.write(f"{folder}/input_status/{name}/manifest.report.csv", _report(file, name))
        storage.write(f"{folder}/validated_data/{name}/validated_prompts.jsonl", file.content)
    storage.write(f"{folder}/SYNTHETIC.txt", synthetic_note)


def write_metrics(
    storage: JobStorage, folder: str, curve: LossCurve, *, validated: bool, rewarded: bool
) -> None:
    """The metrics files have been written. Raises JobRefused."""
    training = rewards(curve) if rewarded else table(curve.training, "training_loss")
    storage.write(f"{folder}/training_artifacts/step_wise_training_metrics.csv", training)
    if validated:
        storage.write(
            f"{folder}/validation_artifacts/post_fine_tuning_validation/validation/validation_metrics.csv",
            table(curve.validation, "validation_loss"),
        )


def _report(file: DataFile, name: str) -> bytes:
    counts = f"{name},{file.rows + file.rejected},{file.rows},0,{file.rejected}"
    return f"{report_header}\n{counts}\n".encode()
