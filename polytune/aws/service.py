"""One AWS service as polytune calls it: checked before, guarded on the way, checked after."""

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
"""The error code of a reply that was cut off."""
last_events = {"ConverseStream": "metadata"}
"""The event that ends a whole stream: one that stops before it was cut off."""


class Service:
    """Calls to one service, with its operations and members named as in AWS's API reference.

    May be used from several threads at once.
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
        """The reply's members. A member of the request that is None is left out.

        Raises RequestRefused before the call, AwsFailure after it.
        """
        sent = self._checked(operation, members)
        with explained(self.name, operation):
            reply = self._method(operation)(**sent)
        return self._complete(operation, reply)

    def pages(self, operation: str, members: Mapping[str, Any], member: str) -> Iterator[Any]:
        """The items of `member` of every page in the service's order, mostly dicts; raises as `call`."""
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
        """The events of the stream in `member`, as they arrive; raises as `call` does, also halfway."""
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
    """Every reply to the client is checked before it is read from now on; one that was cut off is retried.

    botocore takes a 2xx reply that was cut off for an empty one: a list of jobs would look empty, and a job
    would be bought twice (seen with botocore 1.43.117 to 1.44.5, plain and over TLS). Cut XML it does not
    retry.
    """
    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register_first(f"before-parse.{service}", _mark)
    client.meta.events.register_first(f"needs-retry.{service}", _call_it_a_fault)


def _mark(operation_model: Any, response_dict: Any, customized_response_dict: Any, **_: Any) -> None:
    # A streamed body is checked by whoever reads it, and HEAD has none.
    streamed = not isinstance(response_dict["body"], bytes)
    if streamed or operation_model.http.get("method") == "HEAD":
        return
    if not _arrived(operation_model, response_dict):
        # botocore's own retries then treat it like any fault of the server.
        response_dict.update(status_code=500, body=b"")
        customized_response_dict["Error"] = {
            "Code": truncated,
            "Message": "The reply was cut off",
        }


def _call_it_a_fault(response: Any, **_: Any) -> None:
    """botocore repeats a call whose status is a fault of the server."""
    if response is not None and response[1].get("Error", {}).get("Code") == truncated:
        response[0].status_code = 500


def _arrived(operation: Any, reply: Mapping[str, Any]) -> bool:
    status, headers, body = reply["status_code"], reply["headers"], reply["body"]
    length = headers.get("content-length", "")
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
