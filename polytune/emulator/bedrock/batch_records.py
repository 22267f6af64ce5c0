"""The records of a batch job: reads JSON lines, answers each record, writes the results in another order.

   {"recordId": "r1", "modelInput": {...}}
-> {"recordId": "r1", "modelInput": {...}, "modelOutput": {...}}
or {"recordId": "r1", "modelInput": {...}, "error": {"errorCode": 400, "errorMessage": "..."}}
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from polytune.emulator.bedrock import bodies as bodies
from polytune.emulator.bedrock.call import EmulatedError
from polytune.emulator.bedrock.completions import Completion, EmulatedQuestion
from polytune.emulator.bedrock.storage import JobRefused

InvocationType = Literal["InvokeModel", "Converse"]
encoder = msgspec.json.Encoder()
error_statuses = {"ThrottlingException": 429, "InternalServerException": 500}


class EmulatedRecord(msgspec.Struct, frozen=True):
    """One line of an input file."""

    modelInput: dict[str, object]
    recordId: str = ""


@dataclass(frozen=True)
class File:
    """One input file."""

    name: str
    """The last part of its key."""
    records: tuple[EmulatedRecord, ...]


@dataclass(frozen=True)
class RecordResult:
    """The result of one record: its output line, and its tokens if it was answered."""

    file: str
    line: bytes
    right: bool
    input_tokens: int = 0
    output_tokens: int = 0


Ask = Callable[[EmulatedQuestion], Completion]
Mishap = Callable[[], EmulatedError | None]
"""The scripted error of the next record; None for none."""

decoder = msgspec.json.Decoder(EmulatedRecord)


def read_file(name: str, content: bytes) -> File:
    """The records of a file. Raises JobRefused for a line that is not a record."""
    records = []
    for number, line in enumerate(content.splitlines(), 1):
        try:
            record = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise JobRefused(f"Input file {name} has a malformed record on line {number}: {error}") from error
        # `recordId` is optional: a record without one gets a made-up id, unique within its file.
        named = record if record.recordId else msgspec.structs.replace(record, recordId=f"CALL{number:07d}")
        records.append(named)
    return File(name, tuple(records))


def results(files: Sequence[File], kind: InvocationType, ask: Ask, mishap: Mishap) -> Iterator[RecordResult]:
    """The result of every record, in the order of processing, which differs from that of the input."""
    # Bedrock does not preserve the order of records. Shuffle them the same way every time, so that a reader
    # that relies on the order fails in tests.
    placed = [(_place(file.name, record), file.name, record) for file in files for record in file.records]
    for _, name, record in sorted(placed, key=lambda item: item[0]):
        try:
            wrong = mishap()
            if wrong is not None:
                raise wrong
            yield _answered(name, record, kind, ask)
        except EmulatedError as error:
            yield _failed(name, record, error)


def _place(file: str, record: EmulatedRecord) -> str:
    return hashlib.sha256(f"{file}\0{record.recordId}".encode()).hexdigest()


def _answered(file: str, record: EmulatedRecord, kind: InvocationType, ask: Ask) -> RecordResult:
    if kind == "Converse":
        said = ask(bodies.converse(record.modelInput))
        message = {"role": "assistant", "content": [{"text": said.text}]}
        output: bodies.Body = {
            "output": {"message": message},
            "stopReason": said.ending,
            "usage": bodies.usage(said),
            "metrics": {"latencyMs": 0},
        }
    else:
        read = bodies.read(encoder.encode(record.modelInput))
        said = ask(read.question)
        output = bodies.written(read.layout, said)
    line = {"recordId": record.recordId, "modelInput": record.modelInput, "modelOutput": output}
    return RecordResult(file, encoder.encode(line), True, said.input_tokens, said.output_tokens)


def _failed(file: str, record: EmulatedRecord, error: EmulatedError) -> RecordResult:
    told = {"errorCode": error_statuses.get(error.code, error.status), "errorMessage": error.message}
    line = {"recordId": record.recordId, "modelInput": record.modelInput, "error": told}
    return RecordResult(file, encoder.encode(line), False)


def manifest(total: int, done: Sequence[RecordResult]) -> bytes:
    """The content of `manifest.json.out`."""
    right = sum(result.right for result in done)
    return encoder.encode(
        {
            "totalRecordCount": total,
            "processedRecordCount": len(done),
            "successRecordCount": right,
            "errorRecordCount": len(done) - right,
            "inputTokenCount": sum(result.input_tokens for result in done),
            "outputTokenCount": sum(result.output_tokens for result in done),
        }
    )
