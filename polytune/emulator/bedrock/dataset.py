"""The data validation of a customization job: reads the dataset and checks it with polytune's formats.

An invalid dataset fails the job, not the call. Failure messages are the service's own where they are known.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from polytune.base_models.interface import Limits
from polytune.data.validate.reserved import ReservedScanner
from polytune.emulator.bedrock.call import Members
from polytune.emulator.bedrock.catalogue import Foundation, image_layout
from polytune.emulator.bedrock.storage import JobRefused, JobStorage, name_of, split
from polytune.formats.interface import FORMATS, Conversation, Finding, Format, Reading

unparsable = ("not-json", "blank-line", "not-utf8", "nul-byte", "not-an-object", "byte-order-mark")
"""Rules that make a file invalid JSONL when a line breaks them."""
shape_examples = {"prompt-completion": '\'{"prompt": "<input text>", "completion": "<output text>"}\''}
"""Layout -> the format that the service's failure message names for its records."""
reinforcement_layout = "bedrock-rft"
distillation_schema = "bedrock-conversation-2024"


@dataclass(frozen=True)
class DataFile:
    """One file that was read and accepted."""

    uri: str
    content: bytes
    rows: int
    rejected: int = 0
    """Rows that were dropped without failing the job."""


@dataclass(frozen=True)
class Dataset:
    """The data of one job, accepted."""

    train: DataFile
    validation: tuple[DataFile, ...] = ()

    @property
    def files(self) -> tuple[DataFile, ...]:
        """All files, the training file first."""
        return (self.train, *self.validation)


@dataclass(frozen=True)
class Examination:
    """Validates the dataset of one job."""

    storage: JobStorage
    base: Foundation
    customization: str
    """The API's customizationType."""
    teacher_id: str = ""
    """The teacher of a distillation job, as the job names it."""

    def dataset(self, training: Members, validation: Members) -> Dataset:
        """The job's validated data; the arguments are its data configurations. Raises JobRefused."""
        logs = training.get("invocationLogsConfig")
        train = self._logs(logs) if logs else self._file(training["s3Uri"])
        found = Dataset(train, tuple(self._file(each["s3Uri"]) for each in validation.get("validators", ())))
        self._numbers(found)
        return found

    def _file(self, uri: str) -> DataFile:
        content = self.storage.read(uri)
        lines = content.split(b"\n")
        # A final newline ends the last record. Any other empty line is a blank line, which fails the job.
        if not lines[-1]:
            lines.pop()
        if not lines:
            raise JobRefused(f"Unable to parse Amazon S3 file: {name_of(uri)}. {must_be_jsonl}")
        # The service drops invalid prompts of a distillation job; the job fails only if too few remain.
        if self.customization == "DISTILLATION":
            rejected = sum(not is_prompt(line) for line in lines)
            return DataFile(uri, content, len(lines) - rejected, rejected)
        rows = Rows(self.base, self.customization, uri)
        media = [each for number, line in enumerate(lines, 1) for each in rows.judge(line, number)]
        # Many rows may reference one file: look up each URI once, in the order of first use.
        for each in dict.fromkeys(media):
            self.storage.check_media(each, uri)
        return DataFile(uri, content, len(lines))

    def _logs(self, logs: Members) -> DataFile:
        """The records of the invocation logs that match the filters."""
        prefix = logs["invocationLogSource"]["s3Uri"]
        found, others = [], 0
        for uri in self.storage.below(prefix):
            for record in _log_records(self.storage.read(uri)) if uri.endswith(".gz") else ():
                if self._useful(record, logs):
                    found.append(json.dumps(record).encode())
                else:
                    others += 1
        return DataFile(prefix, b"\n".join(found), len(found), others)

    def _useful(self, record: dict[str, Any], logs: Members) -> bool:
        both = bool(record.get("input")) and bool(record.get("output"))
        if not both or not passes(logs.get("requestMetadataFilters"), record.get("requestMetadata") or {}):
            return False
        # Logged answers count as the teacher's only if the teacher gave them: the service ignores other logs.
        # A substring test, because the job may name the teacher by profile or ARN and the log by plain id.
        return not logs.get("usePromptResponse") or str(record.get("modelId")) in self.teacher_id

    def _numbers(self, dataset: Dataset) -> None:
        """Raises JobRefused if the number of rows is outside the limits."""
        limits = self.base.limits(self.customization)
        if limits is None:
            return
        rows = sum(file.rows for file in dataset.files)
        # The minimum applies to the training file alone, the maximum to training and validation together,
        # as in AWS's reference validators.
        if dataset.train.rows < limits.min_train_rows:
            raise out_of_bounds(dataset.train.rows, limits)
        if limits.max_rows is not None and rows > limits.max_rows:
            raise out_of_bounds(rows, limits)


class Rows:
    """Validates the rows of one file, one at a time."""

    def __init__(self, base: Foundation, customization: str, uri: str) -> None:
        self.entry = base.entry
        self.layout = layout_of(base, customization)
        self.uri = uri
        self.format: Format = FORMATS.load(self.layout)()
        self.scanner = ReservedScanner(base.entry.reserved)
        self.limits = base.limits(customization)

    def judge(self, line: bytes, number: int) -> list[str]:
        """The URIs of the files that a valid row references. Raises JobRefused for an invalid row."""
        # `clean` is the fast path: it returns a conversation only for a plain text row without findings. Only
        # the other rows, and those of image datasets, need the full check and can reference files.
        conversation = self.format.clean(line)
        pointing = conversation is None or self.layout == image_layout
        if conversation is None:
            reading = self.format.check(line, number)
            self._explain(reading, number)
            conversation = reading.conversation
        if self.scanner.may_hold(line):
            # The scanner also reports warnings, such as spellings that only some validators refuse.
            for finding in self.scanner.findings(self.format.passages_of(line), number):
                if finding.severity == "error":
                    raise self._wrong(finding)
        if conversation is not None:
            self._length(conversation)
        return [each.uri for each in self.format.references_of(line)] if pointing else []

    def _explain(self, reading: Reading, number: int) -> None:
        for finding in reading.findings:
            if finding.severity == "error" or finding.rule in self.entry.stricter:
                raise self._wrong(finding)
        for block in reading.blocks:
            if block.kind not in self.entry.blocks:
                what = f"record {number}: {self.entry.title} does not take {block.kind}"
                raise JobRefused(f"Input data at {split(self.uri)[1]}: {what}")

    def _wrong(self, finding: Finding) -> JobRefused:
        key = split(self.uri)[1]
        if finding.rule in unparsable:
            return JobRefused(f"Unable to parse Amazon S3 file: {name_of(self.uri)}. {must_be_jsonl}")
        if self.layout in shape_examples and finding.rule != "reserved-string":
            return JobRefused(f"Input data at {key} must follow {shape_examples[self.layout]} format")
        at = f" {finding.field}:" if finding.field else ""
        return JobRefused(f"Input data at {key}: record {finding.line}:{at} {finding.message}")

    def _length(self, conversation: Conversation) -> None:
        most = self.limits.max_tokens_per_row if self.limits else None
        if most is None or self.limits is None:
            return
        characters = len(conversation.system or "") + sum(len(turn.text) for turn in conversation.turns)
        tokens = round(characters / self.limits.chars_per_token)
        if tokens > most:
            raise JobRefused(
                f"Max sum of input and output token length {tokens} exceeds total limit of {most}"
            )


must_be_jsonl = "Data files must conform to JSONL format."


def layout_of(base: Foundation, customization: str) -> str:
    """The layout of the rows of a job of this customizationType."""
    return reinforcement_layout if customization == "REINFORCEMENT_FINE_TUNING" else base.entry.formats[0]


def out_of_bounds(rows: int, limits: Limits) -> JobRefused:
    """The error for a dataset of the wrong size. The service's own message is not published."""
    most = f" and at most {limits.max_rows}" if limits.max_rows is not None else ""
    return JobRefused(
        f"Number of samples {rows} out of bounds: at least {limits.min_train_rows}{most} are needed"
    )


class PromptText(msgspec.Struct):
    """One text block of a prompt for a teacher."""

    text: str


class PromptTurn(msgspec.Struct):
    """One turn of a record for distillation."""

    role: str
    content: list[PromptText]


class PromptRecord(msgspec.Struct):
    """A record for distillation: a prompt, optionally with the expected answer."""

    schemaVersion: str
    messages: list[PromptTurn]


prompt_decoder = msgspec.json.Decoder(PromptRecord)


def is_prompt(line: bytes) -> bool:
    """Whether a record is a valid prompt for a teacher. The service drops records that are not."""
    try:
        record = prompt_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    roles = [turn.role for turn in record.messages]
    expected = ["user", "assistant"] * len(roles)
    texts = all(turn.content and all(each.text.strip() for each in turn.content) for turn in record.messages)
    return (
        record.schemaVersion == distillation_schema
        and bool(roles)
        and roles == expected[: len(roles)]
        and texts
    )


def passes(filters: Members | None, metadata: dict[str, str]) -> bool:
    """Whether a log record's requestMetadata satisfies `requestMetadataFilters`."""
    if not filters:
        return True
    if "andAll" in filters:
        return all(passes(each, metadata) for each in filters["andAll"])
    if "orAll" in filters:
        return any(passes(each, metadata) for each in filters["orAll"])
    equal = all(metadata.get(key) == value for key, value in filters.get("equals", {}).items())
    return equal and all(metadata.get(key) != value for key, value in filters.get("notEquals", {}).items())


def _log_records(content: bytes) -> Iterator[dict[str, Any]]:
    # A log folder may also hold other gzip files and records. Skip them: too few records fail the job anyway.
    try:
        lines = gzip.decompress(content).splitlines()
    except (OSError, EOFError, zlib.error):
        return
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("schemaType") == "ModelInvocationLog":
            yield record
