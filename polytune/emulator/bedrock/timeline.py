"""The course of one customization job: moments that follow from its creation, its script and what it met.

    create --46 s--> validating --3.5 min--> validated [--> data processing] --> queued --> training --> ended
                         |                                                                     |
                         `---------------- Failed ---------------- Stopping -> Stopped -------'

A job with no moment left to come is over. Durations: 80 minutes for a small job as seen in real ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Outcome = Literal["Completed", "Failed", "Stopped"]
JobStatus = Literal["InProgress", "Stopping", "Completed", "Failed", "Stopped"]
StageStatus = Literal["NotStarted", "InProgress", "Completed", "Stopping", "Stopped", "Failed"]
Stage = Literal["validation", "data_processing", "training"]


@dataclass(frozen=True)
class Durations:
    """How long each part of a job takes, in virtual time."""

    accepted: timedelta = timedelta(seconds=46)
    """From the call to the start of validation; observed on real jobs."""
    validation: timedelta = timedelta(seconds=210)
    """Observed: 2 to 4 minutes."""
    internal_error: timedelta = timedelta(seconds=120)
    """From the start of validation to its internal error; observed: 1 to 2.5 minutes."""
    data_processing: timedelta = timedelta(minutes=30)
    """The teacher's answers of a distillation job; chosen, no observation was found."""
    capacity: timedelta = timedelta(seconds=5)
    """From ready to training when there is capacity; observed: seconds."""
    training: timedelta = timedelta(minutes=76)
    """Observed on jobs of some hundred rows."""
    stopping: timedelta = timedelta(seconds=60)
    """Chosen, no observation was found."""


@dataclass
class Timeline:
    """What has happened to a job so far."""

    created: datetime
    durations: Durations
    distils: bool
    """Whether data is processed between validation and training."""
    stuck: timedelta | None = None
    """How long it waits for capacity though there is some; None: not at all."""
    breaks_at: Literal["validation", "training"] | None = None
    """Where a scripted fault ends it."""
    validating: datetime | None = None
    validated: datetime | None = None
    processing: datetime | None = None
    processed: datetime | None = None
    queued: datetime | None = None
    """Ready to train and waiting for its turn."""
    training: datetime | None = None
    stopping: datetime | None = None
    ended: datetime | None = None
    outcome: Outcome | None = None

    def status(self) -> JobStatus:
        """The job's status."""
        if self.outcome is not None:
            return self.outcome
        return "InProgress" if self.stopping is None else "Stopping"

    @property
    def changed(self) -> datetime:
        """When something last happened."""
        moments = (
            self.created,
            self.validating,
            self.validated,
            self.processing,
            self.processed,
            self.training,
            self.stopping,
            self.ended,
        )
        return max(moment for moment in moments if moment is not None)

    def due(self) -> datetime | None:
        """When something happens next; None when nothing will by itself, or it waits for its turn."""
        spans = self.durations
        if self.ended is not None:
            return None
        if self.stopping is not None:
            return self.stopping + spans.stopping
        if self.validating is None:
            return self.created + spans.accepted
        if self.validated is None:
            return self.validating + (
                spans.internal_error if self.breaks_at == "validation" else spans.validation
            )
        if self.distils and self.processed is None:
            return (self.processing or self.validated) + spans.data_processing
        if self.queued is None:
            ready = self.processed or self.validated
            return _later(ready + spans.capacity, self.stuck)
        if self.training is not None:
            return self.training + (spans.training / 2 if self.breaks_at == "training" else spans.training)
        return None

    def end(self, moment: datetime, outcome: Outcome) -> None:
        """The job is over."""
        self.ended, self.outcome = moment, outcome

    def stages(self) -> dict[Stage, tuple[StageStatus, datetime | None, datetime | None]]:
        """Each stage's status, start and last change, for `statusDetails`."""
        found: dict[Stage, tuple[StageStatus, datetime | None, datetime | None]] = {
            "validation": self._stage(self.validating, self.validated)
        }
        if self.distils:
            found["data_processing"] = self._stage(self.processing, self.processed)
        finished = self.ended if self.outcome == "Completed" else None
        found["training"] = self._stage(self.training, finished)
        return found

    def _stage(
        self, started: datetime | None, finished: datetime | None
    ) -> tuple[StageStatus, datetime | None, datetime | None]:
        if started is None:
            return "NotStarted", None, None
        if finished is not None:
            return "Completed", started, finished
        if self.outcome in ("Failed", "Stopped"):
            return ("Failed" if self.outcome == "Failed" else "Stopped"), started, self.ended
        if self.stopping is not None:
            return "Stopping", started, self.stopping
        return "InProgress", started, started


def _later(moment: datetime, stuck: timedelta | None) -> datetime | None:
    if stuck is None:
        return moment
    return None if stuck == timedelta.max else moment + stuck
