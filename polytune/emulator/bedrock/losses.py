"""A made-up loss curve: falling, a little rough, the same for the same job, and no sign of any learning."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

most_steps = 2000
rows_per_step = 8
"""The batch size that is pretended."""


@dataclass(frozen=True)
class Step:
    """One line of a metrics file."""

    number: int
    """Counted from 0."""
    epoch: int
    """Counted from 0."""
    loss: float


@dataclass(frozen=True)
class Curve:
    """The synthetic losses of one job."""

    training: tuple[Step, ...]
    validation: tuple[Step, ...]

    @property
    def training_loss(self) -> float:
        """The loss at the end."""
        return self.training[-1].loss

    @property
    def validation_loss(self) -> float:
        """The validation loss at the end."""
        return self.validation[-1].loss


def synthetic(seed: str, rows: int, epochs: int) -> Curve:
    """The curve of a job over so many rows and epochs; equal arguments give equal curves."""
    dice = random.Random(seed)
    start, floor = dice.uniform(1.8, 2.6), dice.uniform(0.25, 0.6)
    per_epoch = max(1, min(most_steps // max(1, epochs), math.ceil(rows / rows_per_step)))
    steps = per_epoch * max(1, epochs)

    def loss(progress: float, rough: float) -> float:
        return round(floor + (start - floor) * math.exp(-4 * progress) + dice.uniform(-rough, rough), 6)

    training = tuple(Step(number, number // per_epoch, loss(number / steps, 0.05)) for number in range(steps))
    validation = tuple(
        Step((epoch + 1) * per_epoch - 1, epoch, loss((epoch + 1) / max(1, epochs), 0.02) + 0.1)
        for epoch in range(max(1, epochs))
    )
    return Curve(training, validation)


def table(steps: tuple[Step, ...], loss_name: str) -> bytes:
    """A metrics file: `step_number,epoch_number,<loss_name>,perplexity`."""
    return _csv(
        ("step_number", "epoch_number", loss_name, "perplexity"),
        [(step.number, step.epoch, step.loss, round(math.exp(step.loss), 6)) for step in steps],
    )


def rewards(curve: Curve) -> bytes:
    """The metrics file of a reinforcement job: rewards rise as the made-up loss falls."""
    highest = max(step.loss for step in curve.training)
    mean: Callable[[Step], float] = lambda step: round(max(0.0, 1 - step.loss / highest), 6)  # noqa: E731
    return _csv(
        ("step_number", "epoch_number", "critic/rewards/mean", "critic/rewards/max", "critic/rewards/min"),
        [(step.number, step.epoch, mean(step), min(1.0, mean(step) + 0.2), 0.0) for step in curve.training],
    )


def _csv(header: tuple[str, ...], rows: list[tuple[float, ...]]) -> bytes:
    lines = [",".join(header), *(",".join(map(str, row)) for row in rows)]
    return ("\n".join(lines) + "\n").encode()
