"""Customization jobs and their progress: two train at once, the others wait in a queue.

    Jobs.settle(now):  earliest due event of any job  ->  apply it  ->  next earliest  ...  until `now`

The result does not depend on how often `settle` is called: every event has its own time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from polytune.emulator.bedrock.artifacts import LossCurve, folder_of, synthetic, write_accepted, write_metrics
from polytune.emulator.bedrock.call import Members
from polytune.emulator.bedrock.catalogue import Foundation
from polytune.emulator.bedrock.dataset import Dataset, Examination
from polytune.emulator.bedrock.faults import BedrockFault
from polytune.emulator.bedrock.resources import CustomModel
from polytune.emulator.bedrock.state import new_id
from polytune.emulator.bedrock.storage import JobRefused, JobStorage
from polytune.emulator.bedrock.timeline import Timeline
from polytune.emulator.bedrock.world import World

concurrent_training = 2
"""Jobs that train at once in an account; seen in 2024, not adjustable (terraform-provider-aws PR 37990)."""
unread_rows = 200
"""The assumed number of rows when there is no S3 to read them from."""
internal_error = "Encountered an internal error when processing the request."
unexpected_error = "Encountered an unexpected error when processing the request, please try again"


@dataclass
class CustomizationJob:
    """One CreateModelCustomizationJob request and the progress of its job."""

    arn: str
    name: str
    region: str
    request: Members
    """The call's members."""
    customization_type: str
    base: Foundation
    base_arn: str
    """The ARN of the model to train: a foundation model, or a custom model that is trained further."""
    hyperparameters: dict[str, str]
    config: Members | None
    """The `customizationConfig`, with the defaults of reinforcement fine-tuning filled in."""
    kms_key_arn: str | None
    timeline: Timeline
    fault: BedrockFault | None = None
    failure: str = ""
    dataset_rows: int = unread_rows
    curve: LossCurve | None = None
    """None until training is complete."""
    model_arn: str | None = None
    """None until training is complete."""

    @property
    def id(self) -> str:
        """The last part of its ARN."""
        return self.arn.rpartition("/")[2]

    @property
    def validators(self) -> list[Members]:
        """Its validation data, one entry per file."""
        found: list[Members] = self.request.get("validationDataConfig", {}).get("validators", [])
        return found

    @property
    def epochs(self) -> int:
        """The number of passes over the data."""
        rft = (self.config or {}).get("rftConfig", {}).get("hyperParameters", {})
        return int(rft.get("epochCount") or self.hyperparameters.get("epochCount") or 1)


@dataclass(frozen=True)
class EmulatedJobs:
    """Every customization job of the account, in all regions."""

    world: World

    def all(self) -> dict[str, CustomizationJob]:
        """The jobs by ARN, oldest first."""
        return self.world.state.table(CustomizationJob)

    def settle(self, now: datetime) -> None:
        """Every event due by `now` has been applied, in order of time."""
        # Look for the earliest event again after each one: an event can start a waiting job, whose own next
        # event may come before those found first.
        while True:
            due = [(moment, job) for moment, job in self._due() if moment <= now]
            if not due:
                return
            moment, job = min(due, key=lambda item: item[0])
            self._happen(job, moment)
            self._start_waiting(job.region, moment)

    def stop(self, job: CustomizationJob, now: datetime) -> None:
        """The job is stopping."""
        job.timeline.stopping = now
        # A stopping job keeps its training slot until it is Stopped.
        self._start_waiting(job.region, now)

    def training(self, region: str) -> list[CustomizationJob]:
        """The jobs that are training."""
        return [job for job in self._open(region) if job.timeline.training is not None]

    def scheduled(self, region: str) -> list[CustomizationJob]:
        """The jobs that are in progress and not training yet."""
        return [job for job in self._open(region) if job.timeline.training is None]

    def _open(self, region: str) -> Iterator[CustomizationJob]:
        for job in self.all().values():
            if job.region == region and job.timeline.outcome is None:
                yield job

    def _due(self) -> Iterator[tuple[datetime, CustomizationJob]]:
        for job in self.all().values():
            moment = job.timeline.due()
            if moment is not None:
                yield moment, job

    def _start_waiting(self, region: str, moment: datetime) -> None:
        """Free training slots are taken by the jobs that have waited longest."""
        waiting = [
            job
            for job in self.scheduled(region)
            if job.timeline.queued is not None and job.timeline.stopping is None
        ]
        room = concurrent_training - len(self.training(region))
        for job in sorted(waiting, key=lambda each: each.timeline.queued or moment)[: max(0, room)]:
            job.timeline.training = moment

    def _happen(self, job: CustomizationJob, moment: datetime) -> None:
        # The order of the branches mirrors `Timeline.due`, which decides what the next event is.
        line = job.timeline
        try:
            if line.stopping is not None:
                line.end(moment, "Stopped")
            elif line.validating is None:
                self._begin(job, moment)
            elif line.validated is None:
                self._validate(job, moment)
            elif line.distils and line.processed is None:
                line.processed = moment
            elif line.queued is None:
                line.queued = moment
            else:
                self._finish(job, moment)
        except JobRefused as refused:
            job.failure = str(refused)
            line.end(moment, "Failed")

    def _begin(self, job: CustomizationJob, moment: datetime) -> None:
        # Real jobs write the test object before anything else: it is all that a job leaves behind if it fails
        # before its data has been validated.
        job.timeline.validating = moment
        storage = self._storage(job)
        if storage is not None:
            storage.try_writing(job.request["outputDataConfig"]["s3Uri"])

    def _validate(self, job: CustomizationJob, moment: datetime) -> None:
        if job.fault is not None and job.fault.kind in ("internal_error", "failed_validation"):
            raise JobRefused(job.fault.message or internal_error)
        storage = self._storage(job)
        if storage is not None:
            # Read the data now, not at the call: in the service, too, wrong data fails the job in validation.
            dataset = self._examined(job, storage)
            job.dataset_rows = dataset.train.rows
            write_accepted(storage, self._folder(job), dataset)
        job.timeline.validated = moment
        job.timeline.processing = moment if job.timeline.distils else None

    def _examined(self, job: CustomizationJob, storage: JobStorage) -> Dataset:
        teacher = (job.config or {}).get("distillationConfig", {}).get("teacherModelConfig", {})
        examination = Examination(
            storage, job.base, job.customization_type, str(teacher.get("teacherModelIdentifier", ""))
        )
        request = job.request
        return examination.dataset(request["trainingDataConfig"], request.get("validationDataConfig", {}))

    def _finish(self, job: CustomizationJob, moment: datetime) -> None:
        if job.fault is not None and job.fault.kind == "failed_training":
            raise JobRefused(job.fault.message or unexpected_error)
        job.curve = synthetic(job.arn, job.dataset_rows, job.epochs)
        storage = self._storage(job)
        if storage is not None:
            rewarded = job.customization_type == "REINFORCEMENT_FINE_TUNING"
            write_metrics(
                storage, self._folder(job), job.curve, validated=bool(job.validators), rewarded=rewarded
            )
        # Last, because writing to S3 may fail the job: a model exists only if its job is complete.
        job.timeline.end(moment, "Completed")
        job.model_arn = self._make_model(job, job.curve, moment)

    def _make_model(self, job: CustomizationJob, curve: LossCurve, moment: datetime) -> str:
        """The custom model exists; returns its ARN."""
        request = job.request
        arn = self.world.arn(job.region, f"custom-model/{job.base.model_id}/{new_id()}")
        details: Members = {
            "jobName": job.name,
            "jobArn": job.arn,
            "modelKmsKeyArn": job.kms_key_arn,
            "hyperParameters": job.hyperparameters,
            "trainingDataConfig": request["trainingDataConfig"],
            "validationDataConfig": request.get("validationDataConfig"),
            "outputDataConfig": request["outputDataConfig"],
            "customizationConfig": job.config,
        } | metrics(job, curve)
        model = CustomModel(
            arn=arn,
            name=request["customModelName"],
            region=job.region,
            created=moment,
            base=job.base,
            base_arn=job.base_arn,
            customization_type=job.customization_type,
            details=details,
        )
        self.world.state.add(arn, model, request.get("customModelTags"))
        return arn

    def _storage(self, job: CustomizationJob) -> JobStorage | None:
        return JobStorage(self.world.objects, job.region) if self.world.objects is not None else None

    def _folder(self, job: CustomizationJob) -> str:
        return folder_of(job.request["outputDataConfig"]["s3Uri"], job.id)


def metrics(job: CustomizationJob, curve: LossCurve | None) -> Members:
    """`trainingMetrics` and `validationMetrics`; before training is complete, only the latter, empty."""
    # As in recorded responses: a running job has `validationMetrics: []` and no `trainingMetrics`.
    if curve is None:
        return {"validationMetrics": []}
    return {
        "trainingMetrics": {"trainingLoss": curve.training_loss},
        "validationMetrics": [{"validationLoss": curve.validation_loss} for _ in job.validators],
    }


def scripted(timeline: Timeline, fault: BedrockFault | None) -> None:
    """The scripted fault has been applied to the timeline."""
    match fault:
        case BedrockFault(kind="stuck_not_started"):
            never = fault.stuck_seconds is None
            # `timedelta.max` means never: `Timeline.due` then returns None instead of adding it to a date.
            timeline.stuck = timedelta.max if never else timedelta(seconds=fault.stuck_seconds or 0)
        case BedrockFault(kind="internal_error" | "failed_validation"):
            timeline.breaks_at = "validation"
        case BedrockFault(kind="failed_training"):
            timeline.breaks_at = "training"
