"""Makes botocore retry an answer whose body did not arrive whole.

botocore takes a 2xx answer cut off on the way for an empty one: a list of jobs would look empty, and a job
would be bought twice (seen with botocore 1.43.117 to 1.44.5, plain and over TLS). Cut XML it does not retry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

truncated = "TruncatedResponse"
"""The error code that a cut answer gets."""


def install(client: Any) -> None:
    """Every answer that the client gets from now on is checked before it is read."""
    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register_first(f"before-parse.{service}", _mark)
    client.meta.events.register_first(f"needs-retry.{service}", _call_it_a_fault)


def _mark(operation_model: Any, response_dict: Any, customized_response_dict: Any, **_: Any) -> None:
    streamed = not isinstance(response_dict["body"], bytes)
    if streamed or operation_model.http.get("method") == "HEAD":
        return
    if not _arrived(operation_model, response_dict):
        response_dict.update(status_code=500, body=b"")
        customized_response_dict["Error"] = {
            "Code": truncated,
            "Message": "The answer was cut off on the way",
        }


def _call_it_a_fault(response: Any, **_: Any) -> None:
    """botocore repeats a call whose status is a fault of the server."""
    if response is not None and response[1].get("Error", {}).get("Code") == truncated:
        response[0].status_code = 500


def _arrived(operation: Any, answer: Mapping[str, Any]) -> bool:
    status, headers, body = answer["status_code"], answer["headers"], answer["body"]
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
