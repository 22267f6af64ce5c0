"""One AWS service as polytune calls it: requests are checked, truncated replies retried, replies checked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree

from botocore import xform_name
from botocore.exceptions import ParamValidationError

from polytune.aws.failures import explained, incomplete
from polytune.aws.shapes import RequestRefused, check_request, lacking_members

truncated = "TruncatedResponse"
"""The error code for a truncated reply."""
last_events = {"ConverseStream": "metadata"}
"""The last event of a complete stream, by operation: a stream that ends without it was truncated."""


class Service:
    """Calls to one service; operations and members are named as in AWS's API reference.

    Thread-safe.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._model = client.meta.service_model
        self.name: str = self._model.service_name
        _guard_replies(client)

    @property
    def endpoint(self) -> str:
        """The address that calls go to."""
        return str(self._client.meta.endpoint_url)

    def call(self, operation: str, members: Mapping[str, Any]) -> dict[str, Any]:
        """The reply's members. Request members that are None are left out.

        Raises RequestRefused for an invalid request, before it is sent, and AwsFailure when the call fails.
        """
        sent = self._checked(operation, members)
        with explained(self.name, operation):
            reply = self._method(operation)(**sent)
        return self._complete(operation, reply)

    def pages(self, operation: str, members: Mapping[str, Any], member: str) -> Iterator[Any]:
        """The items of `member` on every page, in the service's order, mostly dicts; raises like `call`."""
        sent = self._checked(operation, members)
        with explained(self.name, operation):
            pages = iter(self._client.get_paginator(xform_name(operation)).paginate(**sent))
        while True:
            with explained(self.name, operation):
                page = next(pages, None)
            if page is None:
                return
            yield from self._complete(operation, page).get(member) or ()

    def stream(self, operation: str, members: Mapping[str, Any], member: str) -> Iterator[dict[str, Any]]:
        """The events of the stream in `member`, as they arrive; raises like `call`, also mid-stream."""
        events = self.call(operation, members)[member]
        expected = last_events.get(operation)
        seen: set[str] = set()
        try:
            arriving = iter(events)
            while True:
                with explained(self.name, operation):
                    event = next(arriving, None)
                if event is None:
                    break
                seen.update(event)
                yield event
        finally:
            events.close()
        if expected and expected not in seen:
            raise incomplete(self.name, operation, [f"the event {expected}"])

    def _checked(self, operation: str, members: Mapping[str, Any]) -> dict[str, Any]:
        sent = {name: value for name, value in members.items() if value is not None}
        check_request(self.name, self._model.operation_model(operation), sent)
        return sent

    def _method(self, operation: str) -> Any:
        method = getattr(self._client, xform_name(operation))

        def checked_types(**sent: Any) -> Any:
            try:
                return method(**sent)
            except ParamValidationError as error:
                problem = " ".join(str(error).split())
                raise RequestRefused(f"{self.name} {operation}: {problem}. Nothing was sent.") from error

        return checked_types

    def _complete(self, operation: str, reply: dict[str, Any]) -> dict[str, Any]:
        lacking = lacking_members(self._model.operation_model(operation), reply)
        if lacking:
            raise incomplete(self.name, operation, lacking)
        return reply


def _guard_replies(client: Any) -> None:
    """From now on the client checks every reply before parsing it, and retries truncated ones.

    botocore takes a truncated 2xx reply for an empty one: a list of jobs would look empty, and a job would
    be submitted and paid for twice (seen with botocore 1.43.117 to 1.44.5, plain and over TLS). It does not
    retry truncated XML either.
    """
    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register_first(f"before-parse.{service}", _mark)
    client.meta.events.register_first(f"needs-retry.{service}", _call_it_a_fault)


def _mark(operation_model: Any, response_dict: Any, customized_response_dict: Any, **_: Any) -> None:
    # A streamed body has not arrived yet (its reader checks it), and a HEAD reply has none.
    streamed = not isinstance(response_dict["body"], bytes)
    if streamed or operation_model.http.get("method") == "HEAD":
        return
    if not _arrived(operation_model, response_dict):
        # As a 500 the reply is parsed as an error and goes through botocore's own retries.
        response_dict.update(status_code=500, body=b"")
        customized_response_dict["Error"] = {
            "Code": truncated,
            "Message": "The reply was cut off",
        }


def _call_it_a_fault(response: Any, **_: Any) -> None:
    """Marks a truncated reply as a server error, which botocore retries."""
    if response is not None and response[1].get("Error", {}).get("Code") == truncated:
        response[0].status_code = 500


def _arrived(operation: Any, reply: Mapping[str, Any]) -> bool:
    status, headers, body = reply["status_code"], reply["headers"], reply["body"]
    length = headers.get("content-length", "")
    # Without Content-Length or chunks the reply ends where the connection does: truncation is invisible.
    framed = length.isdigit() or "chunked" in headers.get("transfer-encoding", "").lower()
    if length.isdigit() and int(length) != len(body):
        return False
    if not 200 <= status < 300 or status == 204:
        return True
    return framed and _parses(operation, body)


def _parses(operation: Any, body: bytes) -> bool:
    shape = operation.output_shape
    payload = shape.serialization.get("payload") if shape is not None else None
    raw = payload is not None and shape.members[payload].type_name in ("blob", "string")
    if raw or not body:
        return True
    protocol = operation.service_model.resolved_protocol
    try:
        if "json" in protocol:
            json.loads(body)
        elif protocol in ("query", "rest-xml", "ec2"):
            ElementTree.fromstring(body)
    except (ValueError, ElementTree.ParseError):
        return False
    return True
