"""Bedrock's model invocation logs: what an account's applications asked, and what models answered.

    s3://<bucket>/<prefix>/AWSLogs/<account>/BedrockModelInvocationLogs/<region>/2026/11/21/09/<name>.json.gz

Source: docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from pydantic import Field

from polytune.engine.step import Scope
from polytune.errors import DataError
from polytune.sources._invocation_record import NotConvertible, conversation_of
from polytune.sources._lines import numbered_lines
from polytune.sources._rows import At, record_of_conversation
from polytune.sources.interface import Found, PassedOver, Source, SourceSpec, digest_of_files
from polytune.spec.model import FieldProblem, Items

if TYPE_CHECKING:
    from polytune.sources._objects import Shelf

endings = (".json.gz", ".jsonl.gz", ".json", ".jsonl")
bodies = "data"
"""The folder beside the logs in which large bodies lie."""
cut_off = ("max_tokens", "length", "LENGTH", "max_length")
"""How models say that an answer was not finished."""
most_pairs = 16
"""Request metadata of one call holds no more (API reference of Converse)."""


class InvocationLogsSpec(SourceSpec):
    """Model invocation logs in S3 or in a folder; failed calls and unfinished answers are left out."""

    uri: Annotated[str, Field(pattern=r"^(s3://[a-z0-9][-.a-z0-9]{1,61}[a-z0-9](/.*)?)?$")] = ""
    """Where logging writes to: s3://bucket/prefix/AWSLogs/."""
    folder: str = ""
    """A folder that holds the logs, relative to the experiment file; instead of `uri`."""
    region: str = ""
    """Where the bucket is; AWS_REGION when not stated."""
    match: Annotated[dict[str, str], Field(max_length=most_pairs)] = {}
    """Request metadata that a record must carry, all of it; {} takes every record."""
    exclude: Annotated[dict[str, str], Field(max_length=most_pairs)] = {}
    """Request metadata that a record must not carry."""
    models: Items[str] = ()
    """Only calls of models whose id holds one of these texts, such as `nova-premier`; [] takes all."""

    def problems(self) -> list[FieldProblem]:
        """No place, or two."""
        if bool(self.uri) == bool(self.folder):
            return [FieldProblem("", "state `uri` (in S3) or `folder` (on this machine)")]
        return []


class _LoggedCall(msgspec.Struct, gc=False):
    """What of a record decides whether it is wanted."""

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
        self.folder = (scope.folder / spec.folder).resolve()

    def missing(self) -> str:
        """The folder that is not there."""
        if self.spec.folder and not self.folder.is_dir():
            return f"no such folder '{self.spec.folder}'"
        return ""

    @property
    def _shelf(self) -> Shelf:
        # boto3 takes a fifth of a second to import: a plan that does not look into the bucket does without.
        from polytune.sources._objects import shelf

        spec = self.spec
        prefix = spec.uri.partition("://")[2].partition("/")[2]
        return shelf(
            spec.uri, spec.region, self.scope.settings, lambda key: _is_log(key.removeprefix(prefix))
        )

    def listing(self) -> str:
        """The logs there are now."""
        if self.spec.uri:
            return self._shelf.digest()
        return digest_of_files(self._local(), self.folder) if self.folder.is_dir() else ""

    def records(self) -> Iterator[Found]:
        """One record a call, log after log. Raises DataError where there are no logs."""
        empty = True
        for path, name in self._logs():
            empty = False
            for number, line in numbered_lines(path, name):
                yield self._record(line, At(name, number))
        if empty:
            place = self.spec.uri or self.spec.folder
            raise DataError(f"{place}: no log files ({', '.join(endings)}). Check the path.")

    def _logs(self) -> Iterator[tuple[Path, str]]:
        if self.spec.folder:
            yield from ((path, self.shown(path)) for path in self._local())
        else:
            for fetched in self._shelf.fetched():
                yield fetched.path, fetched.uri

    def _local(self) -> list[Path]:
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(path for path in found if _is_log(path.relative_to(self.folder).as_posix()))

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
        """Why a call is left out; '' for one that is wanted."""
        carried = (call.requestMetadata or {}).items()
        if not self.spec.match.items() <= carried or self.spec.exclude.items() & carried:
            return "other request metadata"
        if self.spec.models and not any(name in call.modelId for name in self.spec.models):
            return "another model"
        return f"the call failed: {call.errorCode}" if call.errorCode else ""


def _is_log(name: str) -> bool:
    """Whether a file is a log and no large body, which has a file of its own beside the logs."""
    return name.endswith(endings) and name.split("/")[-2:-1] != [bodies]


def _ending(body: Any) -> str:
    """Why the model stopped, as Converse, Nova, Claude, Llama, Titan and chat completions say it."""
    for each in _telling(body):
        for key in ("stopReason", "stop_reason", "finish_reason", "completionReason"):
            if isinstance(each.get(key), str):
                return str(each[key])
    return ""


def _telling(body: Any) -> Iterator[Mapping[str, Any]]:
    """The objects of an answer, or of the events it came in, that may tell its end."""
    for whole in _objects(body if isinstance(body, list) else [body]):
        yield whole
        yield from _objects([whole.get("messageStop"), whole.get("delta")])
        for key in ("results", "outputs", "choices"):
            yield from _objects(whole.get(key))


def _objects(values: Any) -> Iterator[Mapping[str, Any]]:
    yield from (each for each in (values if isinstance(values, list) else ()) if isinstance(each, Mapping))
