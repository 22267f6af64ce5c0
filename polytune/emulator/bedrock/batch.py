"""Batch inference jobs: Create, Get, List, Stop. Reads records from S3, writes `.jsonl.out` and a manifest.

    Submitted -10 s-> Validating -60 s-> Scheduled -30 s-> InProgress -0.5 s a record-> Completed
                          `-> Failed        `-> Expired        `-> PartiallyCompleted
    any state before the end: Stopping -45 s-> Stopped, with the records processed until then

Job faults for the operation CreateModelInvocationJob: `failed_validation` and `internal_error` end a job as
Failed, `stuck_not_started` leaves it Scheduled, `failed_training` ends it halfway as PartiallyCompleted.
For the operation BatchRecord, `failed_validation` gives a record the error 400, other kinds the error 500:
{"kind": "internal_error", "operation": "BatchRecord", "every": [1, 10]}.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from polytune.emulator.bedrock import batch_records as records
from polytune.emulator.bedrock.behaviours import batched
from polytune.emulator.bedrock.call import ApiCall, Area, EmulatedError, Members, conflict, invalid, not_found
from polytune.emulator.bedrock.catalogue import find_foundation
from polytune.emulator.bedrock.completions import ModelBehaviour, Speaker
from polytune.emulator.bedrock.faults import BedrockFault
from polytune.emulator.bedrock.requests import check_new_name, check_role
from polytune.emulator.bedrock.selection import Listing
from polytune.emulator.bedrock.state import new_id
from polytune.emulator.bedrock.storage import JobRefused, JobStorage
from polytune.emulator.bedrock.world import World, foundation_arn

accepted = timedelta(seconds=10)
validation = timedelta(seconds=60)
"""Recorded jobs failed validation 36 to 90 s after submission."""
queueing = timedelta(seconds=30)
"""Assumed; no observation was found."""
seconds_per_record = 0.5
"""Assumed; no observation was found."""
stopping_span = timedelta(seconds=45)
"""Recorded jobs that were stopped right after submission were Stopped 39 to 62 s after it."""
fewest_records = 100
"""The minimum number of records: the quota of most models in 2026 (1,000 in 2024)."""
usual_hours = 24
record_operation = "BatchRecord"
internal_error = "Encountered an internal error when processing the request."

Outcome = Literal["Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"]
Status = Literal["Submitted", "Validating", "Scheduled", "InProgress", "Stopping"] | Outcome


@dataclass
class BatchJob:
    """One CreateModelInvocationJob request and the progress of its job."""

    arn: str
    name: str
    region: str
    created: datetime
    request: Members
    model: str
    """The model as Get and List report it."""
    behaviour: ModelBehaviour
    fault: BedrockFault | None = None
    validating: datetime | None = None
    validated: datetime | None = None
    started: datetime | None = None
    stopping: datetime | None = None
    ended: datetime | None = None
    outcome: Outcome | None = None
    message: str = ""
    """Why it failed."""
    files: list[records.File] = field(default_factory=list)
    """Empty until validated."""
    results: list[records.RecordResult] = field(default_factory=list)
    """The results of all records, in the order of processing; empty until started."""

    @property
    def total(self) -> int:
        """The number of its records; 0 until validated, as in the service."""
        return sum(len(file.records) for file in self.files)

    @property
    def expires(self) -> datetime:
        """When it expires: `timeoutDurationInHours` after its creation."""
        return self.created + timedelta(hours=self.request.get("timeoutDurationInHours", usual_hours))

    @property
    def changed(self) -> datetime:
        """When its status last changed."""
        moments = (self.created, self.validating, self.validated, self.started, self.stopping, self.ended)
        return max(moment for moment in moments if moment is not None)

    @property
    def kind(self) -> records.InvocationType:
        """The layout of its records. InvokeModel is the API's default."""
        return "Converse" if self.request.get("modelInvocationType") == "Converse" else "InvokeModel"

    def status(self) -> Status:
        """The job's status."""
        if self.outcome is not None:
            return self.outcome
        if self.stopping is not None:
            return "Stopping"
        if self.started is not None:
            return "InProgress"
        if self.validated is not None:
            return "Scheduled"
        return "Submitted" if self.validating is None else "Validating"

    def done(self, now: datetime) -> list[records.RecordResult]:
        """The results of the records processed by `now`."""
        if self.started is None:
            return []
        # All answers were computed at the start. How many of them exist at a time follows from the time.
        until = min(moment for moment in (now, self.stopping, self.ended) if moment is not None)
        return self.results[: int((until - self.started).total_seconds() / seconds_per_record)]

    def due(self) -> datetime | None:
        """When its next event is due; None if the job has ended."""
        if self.ended is not None:
            return None
        if self.stopping is not None:
            return self.stopping + stopping_span
        if self.validating is None:
            return self.created + accepted
        if self.validated is None:
            return self.validating + validation
        if self.started is None:
            return self._start(self.validated + queueing)
        share = 0.5 if self.fault is not None and self.fault.kind == "failed_training" else 1.0
        return min(self.started + timedelta(seconds=self.total * seconds_per_record * share), self.expires)

    def end(self, moment: datetime, outcome: Outcome) -> None:
        """The job has ended with this outcome."""
        self.ended, self.outcome = moment, outcome

    def _start(self, moment: datetime) -> datetime:
        if self.fault is None or self.fault.kind != "stuck_not_started":
            return min(moment, self.expires)
        if self.fault.stuck_seconds is None:
            return self.expires
        return min(moment + timedelta(seconds=self.fault.stuck_seconds), self.expires)


class BatchArea(Area):
    """The account's batch jobs."""

    def __init__(self, world: World, fewest: int = fewest_records) -> None:
        """`fewest`: the minimum number of records of a job."""
        self._world = world
        self._fewest = fewest
        self._speaker = Speaker(world.objects)
        self._listing = Listing[BatchJob](
            member="invocationJobSummaries",
            name=lambda job: job.name,
            created=lambda job: job.created,
            arn=lambda job: job.arn,
            summary=lambda job: shown(job, world.clock.now()),
            equal={"statusEquals": "status"},
        )

    def settle(self, now: datetime) -> None:
        for job in self._jobs():
            # Batch jobs do not compete for capacity, so each is settled without regard to the others.
            while (moment := job.due()) is not None and moment <= now:
                self._happen(job, moment)

    def snapshot(self, now: datetime) -> dict[str, Any]:
        told = [{"name": job.name, "arn": job.arn, "status": job.status()} for job in self._jobs()]
        return {"batch_jobs": told}

    def create_model_invocation_job(self, call: ApiCall) -> Members:
        """The job exists. Errors in its records show later, in validation or in its output."""
        check_role(self._world, call.text("roleArn"))
        check_new_name(call.text("jobName"), [job.name for job in self._here(call)], "job name")
        wanted = call.text("modelId")
        try:
            behaviour = batched(self._world.state, wanted, call.region)
        except EmulatedError as error:
            raise invalid("The provided model identifier is invalid.") from error
        found = find_foundation(wanted, call.region)
        arn = self._world.arn(call.region, f"model-invocation-job/{new_id()}")
        job = BatchJob(
            arn=arn,
            name=call.text("jobName"),
            region=call.region,
            created=call.now,
            request=call.members,
            model=foundation_arn(call.region, found.model_id) if found is not None else wanted,
            behaviour=behaviour,
            fault=self._world.faults.of_job(call.operation),
        )
        self._world.state.add(arn, job, call.members.get("tags"))
        return {"jobArn": arn}

    def get_model_invocation_job(self, call: ApiCall) -> Members:
        """The job with this ARN or id."""
        job = self._find(call)
        told = {"clientRequestToken": job.request.get("clientRequestToken"), "message": job.message or None}
        return shown(job, call.now) | told

    def list_model_invocation_jobs(self, call: ApiCall) -> Members:
        """The region's jobs."""
        after, before = call.members.get("submitTimeAfter"), call.members.get("submitTimeBefore")
        jobs = [
            job
            for job in self._here(call)
            if (after is None or job.created > after) and (before is None or job.created < before)
        ]
        return self._listing.page(call, jobs)

    def stop_model_invocation_job(self, call: ApiCall) -> Members:
        """The job is stopping. Raises EmulatedError if it has ended or is stopping already."""
        job = self._find(call)
        if job.outcome is not None or job.stopping is not None:
            raise conflict(f"The batch inference job is {job.status()} and cannot be stopped.")
        job.stopping = call.now
        return {}

    def _jobs(self) -> Iterator[BatchJob]:
        yield from self._world.state.table(BatchJob).values()

    def _here(self, call: ApiCall) -> Iterator[BatchJob]:
        return (job for job in self._jobs() if job.region == call.region)

    def _find(self, call: ApiCall) -> BatchJob:
        wanted = call.text("jobIdentifier").rpartition("/")[2]
        for job in self._here(call):
            if job.arn.rpartition("/")[2] == wanted:
                return job
        raise not_found("The provided batch inference job was not found.")

    # -- what happens to a job ------------------------------------------------------------------------

    def _happen(self, job: BatchJob, moment: datetime) -> None:
        try:
            if job.stopping is not None:
                self._write(job, moment)
                job.end(moment, "Stopped")
            elif job.validating is None:
                job.validating = moment
            elif job.validated is None:
                self._validate(job)
                job.validated = moment
            elif job.started is None:
                self._begin(job, moment)
            else:
                self._write(job, moment)
                whole = len(job.done(moment)) == job.total
                job.end(moment, "Completed" if whole else "PartiallyCompleted")
        except JobRefused as refused:
            job.message = str(refused)
            job.end(moment, "Failed")

    def _validate(self, job: BatchJob) -> None:
        if job.fault is not None and job.fault.kind in ("failed_validation", "internal_error"):
            raise JobRefused(job.fault.message or internal_error)
        storage = self._storage(job)
        if storage is None:
            return
        source = job.request["inputDataConfig"]["s3InputDataConfig"]["s3Uri"]
        found = [source] if source.endswith(".jsonl") else storage.below(source)
        names = [uri for uri in found if uri.endswith(".jsonl")]
        job.files = [records.read_file(uri.rpartition("/")[2], storage.read(uri)) for uri in names]
        if job.total < self._fewest:
            # Without files the counts of a failed job stay 0, and no output is written.
            few, least = job.total, self._fewest
            job.files = []
            raise JobRefused(
                f"Batch job {job.arn} contains less records ({few}) than the required minimum of: {least}"
            )

    def _begin(self, job: BatchJob, moment: datetime) -> None:
        # `due` never returns a time after the expiry, so a job that is stuck until then ends here.
        if moment >= job.expires:
            job.end(moment, "Expired")
            return
        job.started = moment
        found = records.results(
            job.files, job.kind, lambda question: self._speaker.answer(job.behaviour, question), self._mishap
        )
        job.results = list(found)

    def _mishap(self) -> EmulatedError | None:
        fault = self._world.faults.of_job(record_operation)
        if fault is None:
            return None
        if fault.kind == "failed_validation":
            return invalid(fault.message or "The model returned the following errors: bad request")
        return EmulatedError("InternalServerException", fault.message or internal_error, 500)

    def _write(self, job: BatchJob, moment: datetime) -> None:
        """The output of the processed records and the manifest are in S3."""
        storage, done = self._storage(job), job.done(moment)
        if storage is None or not job.files:
            return
        output = job.request["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"].rstrip("/")
        folder = f"{output}/{job.arn.rpartition('/')[2]}"
        for file in job.files:
            lines = [result.line + b"\n" for result in done if result.file == file.name]
            if lines:
                storage.write(f"{folder}/{file.name}.out", b"".join(lines))
        storage.write(f"{folder}/manifest.json.out", records.manifest(job.total, done))

    def _storage(self, job: BatchJob) -> JobStorage | None:
        objects = self._world.objects
        return JobStorage(objects, job.region) if objects is not None else None


def shown(job: BatchJob, now: datetime) -> Members:
    """The members of a job in List; Get adds its token and message."""
    request = job.request
    told: Members = {
        "jobArn": job.arn,
        "jobName": job.name,
        "modelId": job.model,
        "roleArn": request["roleArn"],
        "status": job.status(),
        "submitTime": job.created,
        "lastModifiedTime": job.changed,
        "inputDataConfig": _owned(request["inputDataConfig"], job),
        "outputDataConfig": _owned(request["outputDataConfig"], job),
        "timeoutDurationInHours": request.get("timeoutDurationInHours", usual_hours),
        "jobExpirationTime": job.expires,
        "modelInvocationType": job.kind,
    }
    # A recorded answer of a stopped job has no endTime.
    if job.ended is not None and job.outcome != "Stopped":
        told["endTime"] = job.ended
    if request.get("vpcConfig") is not None:
        told["vpcConfig"] = request["vpcConfig"]
    if job.validating is not None and job.outcome != "Failed":
        done = job.done(now)
        right = sum(result.right for result in done)
        told |= {
            "totalRecordCount": job.total,
            "processedRecordCount": len(done),
            "successRecordCount": right,
            "errorRecordCount": len(done) - right,
        }
    return told


def _owned(config: Members, job: BatchJob) -> Members:
    """A data configuration with the bucket owner filled in, as the service returns it."""
    owner = job.arn.split(":")[4]
    return {kind: {"s3BucketOwner": owner} | members for kind, members in config.items()}
