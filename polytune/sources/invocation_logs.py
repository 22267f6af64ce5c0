"""Bedrock's model invocation logs: the requests of an account's applications and the models' answers.

    s3://<bucket>/<prefix>/AWSLogs/<account>/BedrockModelInvocationLogs/<region>/2026/11/21/09/<name>.json.gz

Source: docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from pydantic import Field

from polytune.aws.stated import credentials_obstacle
from polytune.engine.filememory import tree
from polytune.engine.step import Scope
from polytune.errors import DataError, Obstacle
from polytune.sources._invocation_record import NotConvertible, conversation_of
from polytune.sources._lines import numbered_lines
from polytune.sources._rows import At, record_of_conversation
from polytune.sources.interface import Found, PassedOver, Source, SourceSpec
from polytune.spec.model import FieldProblem, InputFolder, Items

if TYPE_CHECKING:
    from polytune.sources._objects import Shelf

endings = (".json.gz", ".jsonl.gz", ".json", ".jsonl")
bodies = "data"
"""The folder next to the logs where Bedrock stores large bodies."""
cut_off = ("max_tokens", "length", "LENGTH", "max_length")
"""Stop reasons for an unfinished answer, as the various models spell them."""
most_pairs = 16
"""The maximum number of request metadata entries per call (API reference of Converse)."""


class InvocationLogsSpec(SourceSpec):
    """Model invocation logs in S3 or in a folder; failed calls and unfinished answers are left out."""

    uri: Annotated[str, Field(pattern=r"^(s3://[a-z0-9][-.a-z0-9]{1,61}[a-z0-9](/.*)?)?$")] = ""
    """The S3 address that the logs are written to: s3://bucket/prefix/AWSLogs/."""
    folder: InputFolder | None = None
    """A folder with the logs, relative to this file; instead of `uri`."""
    region: str = ""
    """The bucket's region. Default: AWS_REGION."""
    match: Annotated[dict[str, str], Field(max_length=most_pairs)] = {}
    """Request metadata that a record must have, all of it; {} selects every record."""
    exclude: Annotated[dict[str, str], Field(max_length=most_pairs)] = {}
    """Request metadata that a record must not have."""
    models: Items[str] = ()
    """Only calls to models whose id contains one of these texts, such as `nova-premier`; [] selects all."""

    def problems(self) -> list[FieldProblem]:
        """Requires exactly one of `uri` and `folder`."""
        if bool(self.uri) == bool(self.folder):
            return [FieldProblem("", "state `uri` (in S3) or `folder` (on this machine)")]
        return []


class _LoggedCall(msgspec.Struct, gc=False):
    """The part of a record that decides whether it is used."""

    modelId: str = ""
    requestMetadata: dict[str, str] | None = None
    errorCode: str = ""
    output: msgspec.Raw = msgspec.Raw(b"{}")


class _AnswerBody(msgspec.Struct, gc=False):
    outputBodyJson: Any = None


_calls = msgspec.json.Decoder(_LoggedCall)
_outputs = msgspec.json.Decoder(_AnswerBody)


class InvocationLogs(Source):
    """Reads logged calls."""

    Spec = InvocationLogsSpec

    def __init__(self, spec: InvocationLogsSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.spec = spec
        self.folder = files.get("folder")

    @property
    def is_here(self) -> bool:
        """Whether the logs are in a folder and not in S3."""
        return self.folder is not None

    def missing(self) -> Obstacle | None:
        """The missing credentials for S3."""
        return None if self.is_here else credentials_obstacle(self.scope.settings.environment)

    @property
    def _shelf(self) -> Shelf:
        # boto3 takes a fifth of a second to import; plans that do not list the bucket avoid that.
        from polytune.sources._objects import shelf

        spec = self.spec
        prefix = spec.uri.partition("://")[2].partition("/")[2]
        return shelf(
            spec.uri, spec.region, self.scope.settings, lambda key: _is_log(key.removeprefix(prefix))
        )

    def listing(self) -> str:
        """A digest of the current logs in S3."""
        return self._shelf.digest() if self.spec.uri else ""

    def records(self) -> Iterator[Found]:
        """One record per call, log after log. Raises DataError when there are no logs."""
        empty = True
        for path, name in self._logs():
            empty = False
            for number, line in numbered_lines(path, name):
                yield self._record(line, At(name, number))
        if empty:
            place = self.spec.uri or self.spec.folder
            raise DataError(f"{place}: no log files ({', '.join(endings)}). Check the path.")

    def _logs(self) -> Iterator[tuple[Path, str]]:
        if self.folder is not None:
            yield from ((path, self.shown(path)) for path in self._local())
        else:
            for fetched in self._shelf.fetched():
                yield fetched.path, fetched.uri

    def _local(self) -> list[Path]:
        if self.folder is None:
            return []
        files = ((name, path) for name, path in tree(self.folder) if _is_log(name))
        return sorted(path for _, path in files)

    def _record(self, line: bytes, at: At) -> Found:
        try:
            call = _calls.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return at.bad("", f"not a record of a log: {error}", "Give files of a model invocation log.")
        unwanted = self._unwanted(call)
        if unwanted:
            return PassedOver(unwanted)
        try:
            said = conversation_of(line)
        except NotConvertible as error:
            return at.bad(error.path, error.reason, error.fix)
        if _ending(_outputs.decode(call.output).outputBodyJson) in cut_off:
            return PassedOver("the answer was cut off")
        return record_of_conversation(said, at, teacher=call.modelId.rpartition("/")[2])

    def _unwanted(self, call: _LoggedCall) -> str:
        """Why a call is left out; '' for one that is used."""
        carried = (call.requestMetadata or {}).items()
        if not self.spec.match.items() <= carried or self.spec.exclude.items() & carried:
            return "other request metadata"
        if self.spec.models and not any(name in call.modelId for name in self.spec.models):
            return "another model"
        return f"the call failed: {call.errorCode}" if call.errorCode else ""


def _is_log(name: str) -> bool:
    """Whether a file is a log, and not one of the large bodies that are stored next to the logs."""
    return name.endswith(endings) and name.split("/")[-2:-1] != [bodies]


def _ending(body: Any) -> str:
    """The stop reason, in the format of Converse, Nova, Claude, Llama, Titan or chat completions."""
    for each in _telling(body):
        for key in ("stopReason", "stop_reason", "finish_reason", "completionReason"):
            if isinstance(each.get(key), str):
                return str(each[key])
    return ""


def _telling(body: Any) -> Iterator[Mapping[str, Any]]:
    """The objects of an answer, or of its stream events, that may contain the stop reason."""
    for whole in _objects(body if isinstance(body, list) else [body]):
        yield whole
        yield from _objects([whole.get("messageStop"), whole.get("delta")])
        for key in ("results", "outputs", "choices"):
            yield from _objects(whole.get(key))


def _objects(values: Any) -> Iterator[Mapping[str, Any]]:
    yield from (each for each in (values if isinstance(values, list) else ()) if isinstance(each, Mapping))
