"""Input and output of batch jobs: terms, input files of a job's size, results in any order.

{"recordId": "<digest of the request>-<draw>", "modelInput": {...}}
{"recordId": "...", "modelOutput": {...}}   or   {"recordId": "...", "error": {"errorCode": 400, ...}}
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from polytune.asking.failures import Failure, FailureKind, kind_of_status
from polytune.engine.answers import Ask
from polytune.engine.artifacts import Facts
from polytune.engine.budget import Cost
from polytune.errors import StepFailed
from polytune.teachers.interface import BatchContext, BatchQuestion, Request

written_at_once = 100
"""Questions written before other steps of the run get a turn on the event loop."""

_encoder = msgspec.json.Encoder()


def id_of(ask: Ask) -> str:
    """The id of the record for an answer."""
    return f"{ask.request}-{ask.draw}"


def ids_of(ask: Ask) -> frozenset[str]:
    """Every id that the record for an answer may have: a job may be older than today's identities."""
    former = () if ask.formerly is None else (id_of(Ask(*ask.formerly)),)
    return frozenset((id_of(ask), *former))


def ask_of(record_id: str) -> Ask | None:
    """The answer that a record's id names; None for an id that polytune did not write."""
    request, _, draw = record_id.rpartition("-")
    return Ask(request, int(draw)) if request and draw.isdecimal() else None


@dataclass
class Chunk:
    """One input file."""

    path: Path
    asks: list[Ask] = field(default_factory=list)
    digest: str = ""
    """SHA-256 of the file."""


@dataclass(frozen=True)
class Sizes:
    """The limits of an input file: records and bytes."""

    fewest: int
    most: int
    most_bytes: int


class ChunkWriter:
    """Writes questions into input files, as many at a time as the budget allows."""

    def __init__(
        self,
        questions: Iterator[BatchQuestion],
        folder: Path,
        sizes: Sizes,
        asked: Callable[[Request], dict[str, Any]],
        worst: Callable[[Request], Cost],
        context: BatchContext,
    ) -> None:
        """`asked` gives the members of a request, `worst` its maximum cost."""
        self.questions = questions
        self.folder = folder
        self.sizes = sizes
        self.asked = asked
        self.worst = worst
        self.context = context
        self._held: BatchQuestion | None = None
        self._number = 0

    async def chunks(self, most: int) -> list[Chunk]:
        """Write up to `most` files; none when the remaining or affordable questions are too few for a job.

        Raises BudgetExceeded when the next question does not fit into the budget at all.
        """
        found: list[Chunk] = []
        while len(found) < most:
            chunk = await self._chunk()
            if len(chunk.asks) < self.sizes.fewest:
                self.context.release(chunk.asks)
                chunk.path.unlink()
                break
            found.append(chunk)
            # The budget is used up until these jobs have ended and their actual cost is known.
            if self._held is not None:
                break
        return found

    async def _chunk(self) -> Chunk:
        self._number += 1
        chunk, running, size = Chunk(self.folder / f"{self._number}.jsonl"), hashlib.sha256(), 0
        with chunk.path.open("wb") as file:
            while len(chunk.asks) < self.sizes.most and size < self.sizes.most_bytes:
                question = self._affordable(chunk)
                if question is None:
                    break
                record = {"recordId": id_of(question.ask), "modelInput": self.asked(question.request)}
                line = _encoder.encode(record) + b"\n"
                file.write(line)
                running.update(line)
                size += len(line)
                # Writing a whole file without a break would hold up the other steps' answers.
                if not len(chunk.asks) % written_at_once:
                    await asyncio.sleep(0)
        chunk.digest = running.hexdigest()
        return chunk

    def _affordable(self, chunk: Chunk) -> BatchQuestion | None:
        """Add the next question to the chunk and return it; None at the end, or when it does not fit now."""
        question, self._held = self._held or next(self.questions, None), None
        if question is None:
            return None
        if not self.context.reserve(question.ask, self.worst(question.request)):
            self._held = question
            return None
        chunk.asks.append(question.ask)
        return question


class BatchTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of a batch job, with defaults from the environment applied."""

    model_id: str
    region: str
    assume_role_arn: str
    bucket: str
    output_bucket: str
    prefix: str
    role_arn: str
    kms_key_arn: str
    timeout_hours: int
    subnet_ids: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()


def members_of(terms: BatchTerms, uri: str, output: str) -> Facts:
    """The members of CreateModelInvocationJob, except for name, tags and idempotency token."""
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


class BatchRecordError(msgspec.Struct, frozen=True):
    """Why a record has no answer."""

    errorCode: int = 500
    errorMessage: str = ""


class BatchOutputLine(msgspec.Struct, frozen=True):
    """One line of a job's output."""

    recordId: str
    modelOutput: msgspec.Raw = msgspec.Raw()
    error: BatchRecordError | None = None


class BatchInputLine(msgspec.Struct, frozen=True):
    """The part of an input line that is read back."""

    recordId: str


_output_line = msgspec.json.Decoder(BatchOutputLine)
_input_line = msgspec.json.Decoder(BatchInputLine)


@dataclass(frozen=True)
class BatchRecord:
    """The result of one record."""

    ask: Ask
    body: bytes
    """The answer as received; b'' when there is none."""
    failure: Failure | None


def results_in(path: Path) -> Iterator[BatchRecord]:
    """The result of each of our records. Raises StepFailed for a file that is not a job's output."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                found = _output_line.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise StepFailed(f"line {number} of a batch job's output is no record: {error}") from error
            ask = ask_of(found.recordId)
            if ask is not None:
                yield BatchRecord(ask, bytes(found.modelOutput), _failure(found))


def _failure(found: BatchOutputLine) -> Failure | None:
    # `msgspec.Raw` keeps the answer's bytes as written, so that they are stored without another encoding.
    if bytes(found.modelOutput) not in (b"", b"null"):
        return None
    error = found.error or BatchRecordError(errorMessage="the record has neither an answer nor an error")
    # Per record there are two outcomes only: the question itself is bad, or asking again may work.
    kind = kind_of_status(error.errorCode)
    kind = FailureKind.UNFIT if kind is FailureKind.UNFIT else FailureKind.BROKEN
    return Failure(kind, f"batch record: {error.errorCode}: {error.errorMessage}", status=error.errorCode)


def ids_in(path: Path) -> frozenset[str]:
    """The ids of the records in an input file."""
    with path.open("rb") as file:
        return frozenset(_input_line.decode(line).recordId for line in file)


def groups(results: Iterator[BatchRecord], size: int) -> Iterator[Sequence[BatchRecord]]:
    """The results in groups of `size`; the last group may be smaller."""
    group: list[BatchRecord] = []
    for result in results:
        group.append(result)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
