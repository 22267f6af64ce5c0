"""Batch jobs of Bedrock through the engine's protocol for long work: each record is bought once.

    intent     the questions are in S3 under their digest; the row with the token is durable
    submit     CreateModelInvocationJob, with the token as idempotency token and in the name
    poll       validating, scheduled, in progress, finalising
    collect    whatever the job wrote is in the answer memory, and only then the row says completed

So a row that is open has answers that nobody has collected. Whoever wants one of them finishes that job
first, in whichever step, experiment or workspace run it was submitted, and sends only what is missing then.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec

from polytune.asking.failures import Failure, Kind
from polytune.asking.reply import Reply
from polytune.aws.access import Access
from polytune.aws.failures import AwsFailure, Missing, NameTaken, NeedsCredentials
from polytune.aws.objects import Objects
from polytune.aws.places import content_uri
from polytune.engine.answers import Ask
from polytune.engine.artifacts import Facts
from polytune.engine.jobbook import JobRow, JobState
from polytune.engine.jobs import Driver, Jobs, Look
from polytune.errors import Paused, StepFailed
from polytune.fingerprint import fingerprint
from polytune.settings import Settings
from polytune.teachers._batch_records import Chunk, groups, id_of, ids_in, results_in
from polytune.teachers._threads import in_thread
from polytune.teachers.interface import BatchDesk, BatchProgress, BatchQuestion

kind = "batch inference"
"""What rows of these jobs say of themselves."""
first_pause_seconds, longest_pause_seconds = 5.0, 60.0
"""Recorded jobs that failed validation did so 36 to 90 s after they were submitted."""
landed_at_once = 256
ended = ("Completed", "PartiallyCompleted", "Stopped", "Expired")
"""Statuses in which a job has written what it has."""
longest_name = 63
key_digits = 10
longest_tag_value = 256
fixes = (
    (r"less records|minimum of", "state that number as teacher.fewest_records"),
    (r"more records|maximum", "state a smaller teacher.records_per_job"),
    (r"permission|access", "the role must read and write the bucket: `polytune iam` prints the policies"),
)


class Terms(Protocol):
    """What a batch job is submitted with."""

    model_id: str
    region: str
    assume_role_arn: str
    bucket: str
    output_bucket: str
    prefix: str
    role_arn: str
    kms_key_arn: str
    timeout_hours: int
    subnet_ids: tuple[str, ...]
    security_group_ids: tuple[str, ...]


@dataclass(frozen=True)
class Stage:
    """Where one job is."""

    word: str
    processed: int = 0
    total: int = 0


@dataclass
class Batches:
    """One step's batch jobs."""

    terms: Terms
    settings: Settings
    desk: BatchDesk
    folder: Path
    replied: Callable[[bytes], Reply]
    """The answer in a job's output, with its price."""
    _left: dict[Ask, None] = field(default_factory=dict)
    """Records under way of which nothing was seen yet."""
    _stages: dict[str, Stage] = field(default_factory=dict)
    _bucket_is_fit: bool = False

    async def finish_open(self, questions: Callable[[], Iterator[BatchQuestion]]) -> None:
        """Every earlier job that holds one of the questions has ended, and its answers are stored."""
        rows = [row for row in self.desk.jobs.book.open_jobs() if row.request.get("kind") == kind]
        wanted = [row for row in rows if await self._holds_one(row, questions)]
        await _together([self._finished(row) for row in wanted])

    async def run(self, chunks: Sequence[Chunk]) -> None:
        """A job for each chunk has ended; answers are stored, and records without one have failed."""
        self._left = {ask: None for chunk in chunks for ask in chunk.asks}
        if not self._bucket_is_fit:
            await self._check_bucket()
        requests = [await self._request(chunk) for chunk in chunks]
        driver = self._driver(self.terms.region, self.terms.assume_role_arn)
        for request in requests:
            await self._jobs(_key(request), forced=True).started(driver, request)
        await _together([self._awaited(driver, request) for request in requests])
        for chunk in chunks:
            self.desk.settle(chunk.costs)
        for ask in self._left:
            self.desk.failed(ask, Failure(Kind.BROKEN, "the batch job ended before it came to this record"))

    # jobs that are there already

    async def _holds_one(self, row: JobRow, questions: Callable[[], Iterator[BatchQuestion]]) -> bool:
        path = self.folder / "open.jsonl"
        try:
            with _calling("the questions of an earlier batch job"):
                await in_thread(self._objects(row.request).fetch, row.request["input"], path)
        except StepFailed as failure:
            if isinstance(failure.__cause__, Missing):
                return row.state is JobState.SUBMITTED
            raise
        ids = ids_in(path)
        path.unlink()
        return await in_thread(lambda: any(id_of(each.ask) in ids for each in questions()))

    async def _finished(self, row: JobRow) -> None:
        """The job has ended and is collected; a failed one is left to be submitted anew."""
        driver = self._driver(row.request["region"], row.request["assume_role_arn"])
        jobs = self._jobs(row.key, forced=False)
        if row.state is JobState.INTENDED:
            row = await jobs.started(driver, row.request)
        look = await driver.look(row.token, row.handle)
        if look.state.final:
            jobs.book.record(msgspec.structs.replace(row, state=look.state, message=look.message))
            return
        await jobs.finish(driver, row.request, self._seen)

    # new jobs

    async def _check_bucket(self) -> None:
        """Raises StepFailed when the bucket is in another region, where jobs cannot read it."""
        access = self._access(self.terms.region, self.terms.assume_role_arn)
        with _calling(f"bucket {self.terms.bucket}"):
            region = await in_thread(Objects(access).bucket_region, self.terms.bucket)
        if region != self.terms.region:
            raise StepFailed(
                f"bucket {self.terms.bucket} is in {region}, and batch jobs in {self.terms.region} read only"
                " buckets of their own region: state teacher.bucket, or another teacher.region"
            )
        self._bucket_is_fit = True

    async def _request(self, chunk: Chunk) -> Facts:
        """The job's request; its questions are in S3."""
        terms, project = self.terms, str(self.desk.label["project"])
        uri = content_uri(terms.bucket, terms.prefix, project, chunk.digest, "records.jsonl")
        access = self._access(terms.region, terms.assume_role_arn)
        with _calling(f"upload of {len(chunk.asks):,} questions"):
            await in_thread(
                lambda: Objects(access).put_file(chunk.path, uri, chunk.digest, kms_key_arn=terms.kms_key_arn)
            )
        chunk.path.unlink()
        output = f"s3://{terms.output_bucket}/{terms.prefix}/{project}/batches/"
        return {
            "kind": kind,
            "region": terms.region,
            "assume_role_arn": terms.assume_role_arn,
            "input": uri,
            "label": self.desk.label,
            "members": _members(terms, uri, output),
        }

    async def _awaited(self, driver: BatchDriver, request: Facts) -> None:
        """The job has ended and is collected. Raises StepFailed when it failed or somebody stopped it."""
        row = await self._jobs(_key(request), forced=False).finish(driver, request, self._seen)
        if row.message == "Stopped":
            raise StepFailed(
                f"{row.handle} was stopped; what it had answered is safe. Run again to submit the rest"
            )

    # what both need

    def _jobs(self, key: str, *, forced: bool) -> Jobs:
        own = self.desk.jobs
        return Jobs(own.book, key, own.what, patience=own.patience, forced=forced, detached=own.detached)

    def _access(self, region: str, assume_role_arn: str) -> Access:
        return Access(region, assume_role_arn=assume_role_arn, environment=self.settings.environment)

    def _objects(self, request: Facts) -> Objects:
        return Objects(self._access(request["region"], request["assume_role_arn"]))

    def _driver(self, region: str, assume_role_arn: str) -> BatchDriver:
        return BatchDriver(self._access(region, assume_role_arn), self._collect, self._stages)

    def _seen(self, look: Look) -> None:
        words = [stage.word for stage in self._stages.values() if stage.word]
        counted = [f"{words.count(word)} {word}" for word in dict.fromkeys(words)]
        one = f"batch job {words[0]}" if len(words) == 1 else f"{len(words)} batch jobs: {', '.join(counted)}"
        processed = sum(stage.processed for stage in self._stages.values())
        total = sum(stage.total for stage in self._stages.values())
        records = f", {processed:,} of {total:,} records" if total else ""
        note = look.message if look.trouble else f"{one}{records}"
        self.desk.tell(BatchProgress(answered=processed, note=note))

    async def _collect(self, objects: Objects, prefix: str) -> None:
        """What a job wrote below an address is stored."""
        found = await in_thread(lambda: [entry.uri for entry in objects.keys(prefix)])
        for uri in found:
            if not uri.endswith(".jsonl.out"):
                continue
            path = self.folder / f"{fingerprint('polytune.output.v1', uri)[:16]}.out"
            await in_thread(objects.fetch, uri, path)
            for group in groups(results_in(path), landed_at_once):
                await self.desk.landed(
                    [(each.ask, self.replied(each.body)) for each in group if each.failure is None]
                )
                for each in group:
                    self._left.pop(each.ask, None)
                    if each.failure is not None:
                        self.desk.failed(each.ask, each.failure)
            path.unlink()


class BatchDriver(Driver):
    """Knows batch jobs of Bedrock in one region."""

    pauses = (first_pause_seconds, longest_pause_seconds)

    def __init__(
        self,
        access: Access,
        collect: Callable[[Objects, str], Coroutine[None, None, None]],
        stages: dict[str, Stage],
    ) -> None:
        """`collect` stores what a job wrote below an address; `stages` is kept up to date by ARN."""
        self.access = access
        self.collect = collect
        self.stages = stages
        self._collected: set[str] = set()

    async def submit(self, token: str, request: Facts, what: str) -> str:
        """The job of that token exists; its ARN is returned. Raises Paused and StepFailed."""
        name = _name(request["label"], token)
        members = {
            **request["members"],
            "jobName": name,
            "tags": _tags({**request["label"], "key": token}),
            "clientRequestToken": token,
        }
        with _calling(f"CreateModelInvocationJob {name}"):
            return await in_thread(self._submitted, name, members)

    def _submitted(self, name: str, members: Mapping[str, Any]) -> str:
        service = self.access.service("bedrock")
        try:
            return str(service.call("CreateModelInvocationJob", members)["jobArn"])
        except NameTaken:
            named = service.pages("ListModelInvocationJobs", {"nameContains": name}, "invocationJobSummaries")
            found = next((each for each in named if each["jobName"] == name), None)
            if found is None:
                raise StepFailed(
                    f"the job name {name} is in use, but no job has it: run again later"
                ) from None
            if _source(found) != _source(members):
                raise StepFailed(
                    f"the job name {name} belongs to other questions: run with --force"
                ) from None
            return str(found["jobArn"])

    async def look(self, token: str, handle: str) -> Look:
        """Where the job stands; once it has ended, what it wrote is stored before this returns.

        Raises Paused when credentials have expired, StepFailed when the output cannot be read at all.
        """
        try:
            found = await in_thread(
                self.access.service("bedrock", attempts=1).call,
                "GetModelInvocationJob",
                {"jobIdentifier": handle},
            )
            look = self._judged(handle, found)
            if look.state is JobState.COMPLETED and handle not in self._collected:
                await self.collect(Objects(self.access), _output(found))
                self._collected.add(handle)
            return look
        except NeedsCredentials as failure:
            raise Paused(f"{handle} goes on; looking at it needs credentials. {failure}") from failure
        except Missing:
            return Look(state=JobState.LOST, message=f"{handle} does not exist any more")
        except AwsFailure as failure:
            if not failure.transient:
                raise StepFailed(f"{handle}: {failure}") from failure
            return Look(state=JobState.SUBMITTED, message=f"could not look: {failure}", trouble=True)

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

    def detached(self, handle: str) -> str:
        """The command that stops it."""
        return f"polytune job stop {handle}"


def stage_of(found: Mapping[str, Any]) -> Stage:
    """Where a job is, out of what Get told."""
    status = str(found["status"])
    processed, total = (int(found.get(f"{which}RecordCount") or 0) for which in ("processed", "total"))
    words = {"InProgress": "in progress", "PartiallyCompleted": "completed in part"}
    word = words.get(status, status.lower())
    if status == "InProgress" and processed >= total > 0:
        word = "finalising"
    return Stage(word, processed, total)


def _members(terms: Terms, uri: str, output: str) -> Facts:
    """CreateModelInvocationJob, but for the name and what follows from it."""
    written: dict[str, Any] = {"s3Uri": output}
    if terms.kms_key_arn:
        written["s3EncryptionKeyId"] = terms.kms_key_arn
    members: dict[str, Any] = {
        "modelId": terms.model_id,
        "roleArn": terms.role_arn,
        "modelInvocationType": "Converse",
        "inputDataConfig": {"s3InputDataConfig": {"s3Uri": uri, "s3InputFormat": "JSONL"}},
        "outputDataConfig": {"s3OutputDataConfig": written},
        "timeoutDurationInHours": terms.timeout_hours,
    }
    if terms.subnet_ids:
        members["vpcConfig"] = {
            "subnetIds": list(terms.subnet_ids),
            "securityGroupIds": list(terms.security_group_ids),
        }
    return members


def _key(request: Facts) -> str:
    return fingerprint("polytune.batch.v1", request)


def _source(found: Mapping[str, Any]) -> str:
    return str(found["inputDataConfig"]["s3InputDataConfig"]["s3Uri"])


def _output(found: Mapping[str, Any]) -> str:
    """What the addresses of everything that a job wrote begin with."""
    place = str(found["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"]).rstrip("/")
    return f"{place}/{str(found['jobArn']).rpartition('/')[2]}/"


def _explained(handle: str, message: str) -> str:
    """A failed job's message with the likely fix."""
    said = message or "failed without a message"
    fix = next((fix for pattern, fix in fixes if re.search(pattern, said, re.IGNORECASE)), "")
    return f"{handle}: {said.rstrip('. ')}. Nothing was answered" + (f". Likely fix: {fix}" if fix else "")


def _name(label: Facts, token: str) -> str:
    """`strudel-nova-lite-v3-generate-0a1b2c3d4e-1`: the experiment, the step, the key and the attempt."""
    key, _, attempt = token.rpartition("-")
    tail = f"-{key[:key_digits]}-{attempt}"
    plain = re.sub(r"[^a-zA-Z0-9]+", "-", f"{label['experiment']}-{label['step']}").strip("-")
    head = plain[: longest_name - len(tail)].strip("-")
    return f"{head or 'x'}{tail}"


def _tags(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [
        {
            "key": f"polytune:{name}",
            "value": re.sub(r"[^a-zA-Z0-9\s._:/=+@-]", "-", value)[:longest_tag_value],
        }
        for name, value in sorted(values.items())
        if value
    ]


@contextmanager
def _calling(what: str) -> Iterator[None]:
    """A call to AWS: what waiting or fresh credentials can cure pauses the run."""
    try:
        yield
    except AwsFailure as failure:
        if failure.transient or isinstance(failure, NeedsCredentials):
            raise Paused(f"{what}: {failure}") from failure
        raise StepFailed(f"{what}: {failure}") from failure


async def _together(works: Sequence[Coroutine[None, None, None]]) -> None:
    """All of them are done; when one fails, the others are cancelled and its failure is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
