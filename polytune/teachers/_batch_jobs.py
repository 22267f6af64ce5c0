"""Bedrock batch jobs through the engine's protocol for remote jobs: each record is paid once.

    intent     the questions are in S3 under their digest; the row with the token is durable
    submit     CreateModelInvocationJob, with the token as idempotency token and in the name
    poll       validating, scheduled, in progress, finalising
    collect    all output is in the answer memory, and only then the row says completed

An open row therefore has answers that are not collected yet. A step that needs one of them finishes that job
first, regardless of the step, experiment or workspace run that submitted it, and then sends only the
questions that are still missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from polytune.asking.failures import Failure, FailureKind
from polytune.asking.reply import Reply
from polytune.aws.access import Access
from polytune.aws.failures import Missing
from polytune.aws.objects import Objects
from polytune.aws.places import content_uri
from polytune.aws.threads import in_thread
from polytune.engine.answers import Ask
from polytune.engine.artifacts import Facts
from polytune.engine.jobbook import JobRow, JobState
from polytune.engine.jobs import Jobs, Look
from polytune.errors import StepFailed
from polytune.fingerprint import fingerprint
from polytune.settings import Settings
from polytune.teachers._batch_driver import BatchDriver, BatchStage, calling
from polytune.teachers._batch_records import BatchTerms, Chunk, groups, ids_in, ids_of, members_of, results_in
from polytune.teachers.interface import BatchContext, BatchProgress, BatchQuestion

kind = "batch inference"
"""The `kind` in the job book's rows for these jobs."""
landed_at_once = 256
"""Answers per transaction: few enough that other steps of the run are not held up."""


@dataclass
class Batches:
    """The batch jobs of one step."""

    terms: BatchTerms
    settings: Settings
    context: BatchContext
    folder: Path
    replied: Callable[[bytes], Reply]
    """Converts the answer in a job's output into a reply with its price."""
    _left: dict[Ask, None] = field(default_factory=dict)
    """Submitted records without a result so far; a dict, to keep their order."""
    _stages: dict[str, BatchStage] = field(default_factory=dict)
    _bucket_is_fit: bool = False

    async def finish_open(self, questions: Callable[[], Iterator[BatchQuestion]]) -> None:
        """Wait for every earlier job that contains one of the questions, and store its answers."""
        rows = [row for row in self.context.jobs.book.open_jobs() if row.request.get("kind") == kind]
        wanted = [row for row in rows if await self._holds_one(row, questions)]
        await _together([self._finished(row) for row in wanted])

    async def run(self, chunks: Sequence[Chunk]) -> None:
        """Run a job for each chunk: answers are stored, and records without an answer are reported failed."""
        self._left = {ask: None for chunk in chunks for ask in chunk.asks}
        if not self._bucket_is_fit:
            await self._check_bucket()
        requests = [await self._request(chunk) for chunk in chunks]
        driver = self._driver(self.terms.region, self.terms.assume_role_arn)
        try:
            # Submit all before waiting for any: jobs queue for hours, and the queue takes several at once.
            for request in requests:
                await self._jobs(_key(request), forced=True).started(driver, request)
            await _together([self._awaited(driver, request) for request in requests])
        except StepFailed:
            self._release(chunks)
            raise
        for ask in self._left:
            self.context.failed(
                ask, Failure(FailureKind.BROKEN, "the batch job ended before it came to this record")
            )

    def _release(self, chunks: Sequence[Chunk]) -> None:
        """Release the reservations of failed jobs.

        Not called for Paused and Detached: those jobs continue without this run, and will be billed.
        """
        for chunk in chunks:
            self.context.release(chunk.asks)

    # jobs of earlier runs

    async def _holds_one(self, row: JobRow, questions: Callable[[], Iterator[BatchQuestion]]) -> bool:
        # The input in S3 is the record of what a job contains; rows would grow with the number of questions.
        path = self.folder / "open.jsonl"
        try:
            with calling("the questions of an earlier batch job"):
                await in_thread(self._objects(row.request).fetch, row.request["input"], path)
        except StepFailed as failure:
            # Without its input, a submitted job may contain any question; one never submitted contains none.
            if isinstance(failure.__cause__, Missing):
                return row.state is JobState.SUBMITTED
            raise
        ids = ids_in(path)
        path.unlink()
        return await in_thread(lambda: any(not ids.isdisjoint(ids_of(each.ask)) for each in questions()))

    async def _finished(self, row: JobRow) -> None:
        """Wait for the job and collect it.

        A job that failed is only recorded: it costs nothing, and its questions are sent again. Raises
        StepFailed for a job that is lost.
        """
        driver = self._driver(row.request["region"], row.request["assume_role_arn"])
        jobs = self._jobs(row.key, forced=False)
        # A run that ended between intent and record may have submitted the job; the token tells.
        if row.state is JobState.INTENDED:
            row = await jobs.started(driver, row.request)
        look = await driver.look(row.token, row.handle)
        if look.state.final:
            jobs.book.record(msgspec.structs.replace(row, state=look.state, message=look.message))
            if look.state is JobState.LOST:
                raise StepFailed(look.message)
            return
        await jobs.finish(driver, row.request, self._seen)

    # new jobs

    async def _check_bucket(self) -> None:
        """Raises StepFailed when the bucket is in another region, because batch jobs cannot read it."""
        access = self._access(self.terms.region, self.terms.assume_role_arn)
        with calling(f"bucket {self.terms.bucket}"):
            region = await in_thread(Objects(access).bucket_region, self.terms.bucket)
        if region != self.terms.region:
            raise StepFailed(
                f"bucket {self.terms.bucket} is in {region}, and batch jobs in {self.terms.region} can"
                " only read buckets in their own region: change teacher.bucket or teacher.region"
            )
        self._bucket_is_fit = True

    async def _request(self, chunk: Chunk) -> Facts:
        """Upload the questions to S3 and return the job's request."""
        terms, project = self.terms, str(self.context.label["project"])
        uri = content_uri(terms.bucket, terms.prefix, project, chunk.digest, "records.jsonl")
        access = self._access(terms.region, terms.assume_role_arn)
        with calling(f"upload of {len(chunk.asks):,} questions"):
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
            "label": self.context.label,
            "members": members_of(terms, uri, output),
        }

    async def _awaited(self, driver: BatchDriver, request: Facts) -> None:
        """Wait for the job and collect it. Raises StepFailed when it failed or was stopped."""
        row = await self._jobs(_key(request), forced=False).finish(driver, request, self._seen)
        # Somebody stopped it on purpose: submitting the rest at once would undo that.
        if row.message == "Stopped":
            raise StepFailed(
                f"{row.handle} was stopped; its answers so far are saved. Run again to submit the rest"
            )

    # shared by both

    def _jobs(self, key: str, *, forced: bool) -> Jobs:
        own = self.context.jobs
        return Jobs(own.book, key, own.what, polling=own.polling, forced=forced, detached=own.detached)

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
        self.context.report(BatchProgress(answered=processed, note=note))

    async def _collect(self, objects: Objects, prefix: str) -> int:
        """Store the output below a URI prefix; return the number of output files."""
        found = await in_thread(lambda: [entry.uri for entry in objects.keys(prefix)])
        # Beside its output a job writes manifest.json.out, with counts only.
        files = [uri for uri in found if uri.endswith(".jsonl.out")]
        for uri in files:
            path = self.folder / f"{fingerprint('polytune.output.v1', uri)[:16]}.out"
            await in_thread(objects.fetch, uri, path)
            for group in groups(results_in(path), landed_at_once):
                await self.context.landed(
                    [(each.ask, self.replied(each.body)) for each in group if each.failure is None]
                )
                for each in group:
                    self._left.pop(each.ask, None)
                    if each.failure is not None:
                        self.context.failed(each.ask, each.failure)
            path.unlink()
        return len(files)


def _key(request: Facts) -> str:
    return fingerprint("polytune.batch.v1", request)


async def _together(works: Sequence[Coroutine[None, None, None]]) -> None:
    """Run all of them; when one fails, cancel the others and raise its failure."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
