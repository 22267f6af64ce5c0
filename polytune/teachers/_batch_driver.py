"""The driver for Bedrock batch jobs: submits a job, reports its status, has its output collected.

Submitted - Validating - Scheduled - InProgress (finalising) - Completed, or PartiallyCompleted, Expired,
Stopped: their output is collected too; Failed: nothing was answered and nothing is billed
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from polytune.aws.access import Access
from polytune.aws.failures import AwsFailure, Missing, NameTaken, NeedsCredentials
from polytune.aws.naming import tags_of, unique_name
from polytune.aws.objects import Objects
from polytune.aws.threads import in_thread
from polytune.engine.artifacts import Facts
from polytune.engine.jobbook import JobState
from polytune.engine.jobs import Driver, Look
from polytune.errors import Paused, StepFailed

first_pause_seconds, longest_pause_seconds = 5.0, 60.0
"""Bounds of the polling interval. Recorded jobs that failed validation did so 36 to 90 s after submission."""
ended = ("Completed", "PartiallyCompleted", "Stopped", "Expired")
"""Statuses of jobs that have ended and written their answers so far."""
# By the words of Bedrock's messages, which have no error codes.
fixes = (
    (r"less records|minimum of", "state that number as teacher.fewest_records"),
    (r"more records|maximum", "state a smaller teacher.records_per_job"),
    (r"permission|access", "the role must read and write the bucket: `polytune iam` prints the policies"),
)


@dataclass(frozen=True)
class BatchStage:
    """The stage and the record counts of one job."""

    word: str
    processed: int = 0
    total: int = 0


class BatchDriver(Driver):
    """Drives Bedrock batch jobs in one region."""

    pauses = (first_pause_seconds, longest_pause_seconds)

    def __init__(
        self,
        access: Access,
        collect: Callable[[Objects, str], Coroutine[None, None, int]],
        stages: dict[str, BatchStage],
    ) -> None:
        """`collect` stores the output below a URI prefix and returns the number of files.

        The driver keeps `stages` up to date, by ARN.
        """
        self.access = access
        self.collect = collect
        self.stages = stages
        self._collected: set[str] = set()

    async def submit(self, token: str, request: Facts, what: str) -> str:
        """Create the job of that token unless it exists, and return its ARN. Raises Paused and StepFailed."""
        name = unique_name(request["label"], token)
        members = {
            **request["members"],
            "jobName": name,
            "tags": tags_of(request["label"], token),
            "clientRequestToken": token,
        }
        with calling(f"CreateModelInvocationJob {name}"):
            return await in_thread(self._submitted, name, members)

    def _submitted(self, name: str, members: Mapping[str, Any]) -> str:
        service = self.access.service("bedrock")
        try:
            return str(service.call("CreateModelInvocationJob", members)["jobArn"])
        except NameTaken:
            # Either an earlier call of ours succeeded and its response was lost, or another job has the
            # name. The input's URI tells which: it contains the digest of the questions.
            named = service.pages("ListModelInvocationJobs", {"nameContains": name}, "invocationJobSummaries")
            found = next((each for each in named if each["jobName"] == name), None)
            if found is None:
                raise StepFailed(
                    f"the job name {name} is taken, but no job has it: try again later"
                ) from None
            if _source(found) != _source(members):
                raise StepFailed(
                    f"the job name {name} belongs to a job with other questions: run with --force"
                ) from None
            return str(found["jobArn"])

    async def look(self, token: str, handle: str) -> Look:
        """Return the job's state; if it has ended, its output is stored before this returns.

        Raises Paused when credentials have expired, StepFailed when access to the job or its output is
        denied.
        """
        try:
            found = await in_thread(self._got, handle)
            if found is None:
                return Look(state=JobState.LOST, message=f"{handle} does not exist any more")
            look = self._judged(handle, found)
            # Collect before reporting COMPLETED: a crash in between leaves the row open, and the next run
            # collects again. Stored answers are skipped then.
            if look.state is JobState.COMPLETED and handle not in self._collected:
                files = await self.collect(Objects(self.access), _output(found))
                if not files and found.get("successRecordCount"):
                    what = (
                        f"{found['successRecordCount']:,} records were answered, but there is nothing under"
                    )
                    told = (
                        f"{handle}: {what} {_output(found)}: was it deleted? Run again to submit them again"
                    )
                    return Look(state=JobState.LOST, message=told)
                self._collected.add(handle)
            return look
        except NeedsCredentials as failure:
            raise Paused(f"{handle} is still running; checking it needs credentials. {failure}") from failure
        except AwsFailure as failure:
            if not failure.transient:
                raise StepFailed(f"{handle}: {failure}") from failure
            # One failed poll says nothing about the job, which costs money whether or not we see it.
            return Look(
                state=JobState.SUBMITTED, message=f"could not check the status: {failure}", trouble=True
            )

    def _got(self, handle: str) -> dict[str, Any] | None:
        """The response of GetModelInvocationJob; None when the job does not exist."""
        # One attempt: polling is the retry.
        service = self.access.service("bedrock", attempts=1)
        try:
            return service.call("GetModelInvocationJob", {"jobIdentifier": handle})
        except Missing:
            return None

    def _judged(self, handle: str, found: Mapping[str, Any]) -> Look:
        stage = stage_of(found)
        self.stages[handle] = stage
        status = str(found["status"])
        if status in ended:
            return Look(state=JobState.COMPLETED, message=status, done=1.0)
        if status == "Failed":
            return Look(state=JobState.FAILED, message=_explained(handle, str(found.get("message") or "")))
        done = stage.processed / stage.total if stage.total else 0.0
        return Look(state=JobState.SUBMITTED, message=stage.word, done=done)

    def detached(self, token: str, handle: str) -> str:
        """The command that stops the job."""
        return f"polytune job stop {handle}"


def stage_of(found: Mapping[str, Any]) -> BatchStage:
    """The stage of a job, from the response of GetModelInvocationJob."""
    status = str(found["status"])
    processed, total = (int(found.get(f"{which}RecordCount") or 0) for which in ("processed", "total"))
    words = {"InProgress": "in progress", "PartiallyCompleted": "completed in part"}
    word = words.get(status, status.lower())
    # The status stays InProgress while the output is written, which looks stuck at 100 %.
    if status == "InProgress" and processed >= total > 0:
        word = "finalising"
    return BatchStage(word, processed, total)


def _source(found: Mapping[str, Any]) -> str:
    return str(found["inputDataConfig"]["s3InputDataConfig"]["s3Uri"])


def _output(found: Mapping[str, Any]) -> str:
    """The URI prefix of a job's output: Bedrock appends the id at the end of the job's ARN."""
    place = str(found["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"]).rstrip("/")
    return f"{place}/{str(found['jobArn']).rpartition('/')[2]}/"


def _explained(handle: str, message: str) -> str:
    """A failed job's message, with the likely fix."""
    said = message or "failed without a message"
    fix = next((fix for pattern, fix in fixes if re.search(pattern, said, re.IGNORECASE)), "")
    return f"{handle}: {said.rstrip('. ')}. Nothing was answered" + (f". Likely fix: {fix}" if fix else "")


@contextmanager
def calling(what: str) -> Iterator[None]:
    """Raise Paused for AWS failures that waiting or new credentials can resolve, StepFailed for others."""
    try:
        yield
    except AwsFailure as failure:
        if failure.transient or isinstance(failure, NeedsCredentials):
            raise Paused(f"{what}: {failure}") from failure
        raise StepFailed(f"{what}: {failure}") from failure
