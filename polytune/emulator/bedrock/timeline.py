"""The timeline of one customization job: event times that follow from its creation and its scripted faults.

    create --46 s--> validating --3.5 min--> validated [--> data processing] --> queued --> training --> ended
                         |                                                                     |
                         `---------------- Failed ---------------- Stopping -> Stopped -------'

A small job takes about 80 minutes, as observed on real jobs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Outcome = Literal["Completed", "Failed", "Stopped"]
JobStatus = Literal["InProgress", "Stopping", "Completed", "Failed", "Stopped"]
StageStatus = Literal["NotStarted", "InProgress", "Completed", "Stopping", "Stopped", "Failed"]
Stage = Literal["validation", "data_processing", "training"]


# Without randomness: a test that advances the clock must know what state a job is in.
@dataclass(frozen=True)
class Durations:
    """The duration of each stage of a job, in virtual time."""

    accepted: timedelta = timedelta(seconds=46)
    """From the call to the start of validation; observed on real jobs."""
    validation: timedelta = timedelta(seconds=210)
    """Observed: 2 to 4 minutes."""
    internal_error: timedelta = timedelta(seconds=120)
    """From the start of validation to an internal error in it. Observed: 1 to 2.5 minutes."""
    data_processing: timedelta = timedelta(minutes=30)
    """Generating the teacher's answers of a distillation job. Assumed; no observation was found."""
    capacity: timedelta = timedelta(seconds=5)
    """From the end of preparation to training when there is capacity. Observed: seconds."""
    training: timedelta = timedelta(minutes=76)
    """Observed on jobs with 115 to 189 rows (Llama 3.3 70B)."""
    stopping: timedelta = timedelta(seconds=60)
    """Assumed; no observation was found."""


@dataclass
class Timeline:
    """The events of a job so far, with their times."""

    created: datetime
    durations: Durations
    distils: bool
    """Whether the job has a data processing stage between validation and training."""
    stuck: timedelta | None = None
    """Extra waiting time for capacity, `timedelta.max` for forever; None for no extra wait."""
    breaks_at: Literal["validation", "training"] | None = None
    """The stage in which a scripted fault ends the job."""
    validating: datetime | None = None
    validated: datetime | None = None
    processing: datetime | None = None
    processed: datetime | None = None
    queued: datetime | None = None
    """When it became ready to train and joined the queue."""
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
        """When the job last changed: its `lastModifiedTime`."""
        # Without `queued`: the API shows no difference between a job in the queue and one just validated.
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
        """When the next event is due. None if the job has ended, is stuck forever, or waits in the queue."""
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
        # The job joins the queue even if nothing else trains; `EmulatedJobs` starts it at once if it can.
        if self.queued is None:
            ready = self.processed or self.validated
            return _later(ready + spans.capacity, self.stuck)
        if self.training is not None:
            return self.training + (spans.training / 2 if self.breaks_at == "training" else spans.training)
        return None

    def end(self, moment: datetime, outcome: Outcome) -> None:
        """The job has ended with this outcome."""
        self.ended, self.outcome = moment, outcome

    def stages(self) -> dict[Stage, tuple[StageStatus, datetime | None, datetime | None]]:
        """Status, start and last change of each stage, for `statusDetails`."""
        found: dict[Stage, tuple[StageStatus, datetime | None, datetime | None]] = {
            "validation": self._stage(self.validating, self.validated)
        }
        if self.distils:
            found["data_processing"] = self._stage(self.processing, self.processed)
        # A job that failed or was stopped also has an end, but its training is not Completed.
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
