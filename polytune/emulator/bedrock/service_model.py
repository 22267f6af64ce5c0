"""botocore's service model, used on the server side: matches routes, parses requests, writes responses.

One `ServiceModel` is one service. Everything it knows comes from the installed botocore, so upgrading
botocore upgrades the emulator.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, unquote

import botocore.session
from botocore.model import OperationModel, Shape

from polytune.emulator.bedrock.call import EmulatedError, Members, invalid
from polytune.emulator.bedrock.constraints import failed, refusal

# Errors that any operation may return. Most operations' models do not list them, so their status is here.
status_of_common = {
    "ExpiredTokenException": 403,
    "MissingAuthenticationTokenException": 403,
    "UnknownOperationException": 404,
    "ThrottlingException": 429,
    "InternalServerException": 500,
}


@dataclass(frozen=True)
class WireRequest:
    """One HTTP request."""

    method: str
    path: str
    """Still percent-encoded."""
    query: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True)
class Response:
    """One HTTP response that is not a stream."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Route:
    """One operation's method and path."""

    operation: OperationModel
    method: str
    path: re.Pattern[str]
    """Matches a percent-encoded path. Its groups are the URI labels, in order."""
    labels: tuple[str, ...]
    """The label name of each group."""

    def values(self, request: WireRequest) -> dict[str, str] | None:
        """The decoded label values; None if the request does not match this route."""
        # Decode after matching: an ARN in the path contains encoded slashes, which are no path separators.
        found = self.path.fullmatch(request.path) if request.method == self.method else None
        return dict(zip(self.labels, map(unquote, found.groups()), strict=True)) if found else None


class ServiceModel:
    """The operations of one service."""

    def __init__(self, service: str) -> None:
        self.service = service
        self._model = botocore.session.get_session().get_service_model(service)

    @cached_property
    def routes(self) -> tuple[Route, ...]:
        """Every route, the most specific first: fewest labels, then the longest pattern."""
        found = [_route(self._model.operation_model(name)) for name in self._model.operation_names]
        return tuple(sorted(found, key=lambda route: (len(route.labels), -len(route.path.pattern))))

    def operation(self, name: str) -> OperationModel:
        """The model of one operation."""
        return self._model.operation_model(name)

    def read(self, route: Route, labels: Mapping[str, str], request: WireRequest) -> Members:
        """The request's members. Raises EmulatedError if they do not match the input shape."""
        shape = route.operation.input_shape
        if shape is None:
            return {}
        members = _ShapeReading(shape, labels, request).members()
        wrong = refusal(shape, members)
        if wrong is not None:
            raise wrong
        return members

    def write(self, operation: OperationModel, members: Members) -> Response:
        """The HTTP response for an operation's output members."""
        status, shape = operation.http.get("responseCode", 200), operation.output_shape
        if shape is None:
            return Response(status, b"{}", {"Content-Type": "application/json"})
        headers = {"Content-Type": "application/json"}
        payload = shape.serialization.get("payload")
        body: dict[str, Any] = {}
        for name, member in shape.members.items():
            value = members.get(name)
            # The service omits members without a value instead of sending null.
            if value is None or name == payload:
                continue
            match member.serialization.get("location"):
                case "header":
                    headers[member.serialization["name"]] = str(value)
                case "statusCode":
                    status = int(value)
                case _:
                    body[member.serialization.get("name", name)] = plain(member, value)
        if payload is None:
            return Response(status, json.dumps(body).encode(), headers)
        value = members.get(payload)
        if shape.members[payload].type_name == "blob":
            return Response(status, value or b"", headers)
        return Response(status, json.dumps(plain(shape.members[payload], value or {})).encode(), headers)

    def refuse(self, operation: OperationModel | None, error: EmulatedError) -> Response:
        """The HTTP response for an error. The status is the model's if the operation lists the code."""
        status = status_of_common.get(error.code, error.status)
        for shape in operation.error_shapes if operation is not None else ():
            if shape.name == error.code:
                status = shape.metadata["error"]["httpStatusCode"]
        return refused(error.code, error.message, status)


def refused(code: str, message: str, status: int) -> Response:
    """An error response in the rest-json format."""
    body = json.dumps({"message": message}).encode()
    return Response(status, body, {"Content-Type": "application/json", "x-amzn-ErrorType": code})


def plain(shape: Shape, value: Any) -> Any:
    """A value of a shape as JSON values: times as ISO-8601 in UTC, blobs as base64, None members omitted."""
    # Documents are free-form JSON: the model does not describe what is inside.
    if getattr(shape, "is_document_type", False):
        return value
    match shape.type_name:
        case "structure":
            return {
                member.serialization.get("name", name): plain(member, value[name])
                for name, member in shape.members.items()
                if value.get(name) is not None
            }
        case "list":
            return [plain(shape.member, item) for item in value]
        case "map":
            return {key: plain(shape.value, item) for key, item in value.items()}
        case "timestamp":
            return iso(value)
        case "blob":
            return base64.b64encode(value).decode()
    return value


def iso(moment: datetime) -> str:
    """A time in the service's notation: `2026-03-03T22:57:41.101Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _ShapeReading:
    """Parses one request according to an input shape."""

    def __init__(self, shape: Shape, labels: Mapping[str, str], request: WireRequest) -> None:
        self.shape = shape
        self.labels = labels
        self.request = request
        self.query = parse_qs(request.query, keep_blank_values=True)

    def members(self) -> Members:
        """The members present in the request."""
        payload = self.shape.serialization.get("payload")
        in_body: dict[str, Shape] = {}
        found: Members = {}
        for name, member in self.shape.members.items():
            if name == payload:
                found[name] = self._payload(member)
            elif "location" in member.serialization:
                value = self._outside_body(name, member)
                if value is not None:
                    found[name] = value
            else:
                in_body[name] = member
        if in_body and payload is None:
            body = _json_object(self.request.body)
            for name, member in in_body.items():
                # An explicit null counts as absent, as in the service's protocol.
                value = body.get(member.serialization.get("name", name))
                if value is not None:
                    found[name] = typed(member, value, name)
        return found

    def _payload(self, member: Shape) -> Any:
        if member.type_name == "blob":
            return self.request.body
        return typed(member, _json_object(self.request.body), "body")

    def _outside_body(self, name: str, member: Shape) -> Any:
        wire = member.serialization.get("name", name)
        match member.serialization["location"]:
            case "uri":
                return typed_text(member, self.labels[wire], name)
            case "querystring" if member.type_name == "list":
                values = self.query.get(wire)
                return values and [typed_text(member.member, value, name) for value in values]
            case "querystring":
                values = self.query.get(wire)
                return typed_text(member, values[0], name) if values else None
            case "header":
                value = self.request.headers.get(wire.lower())
                return None if value is None else typed_text(member, value, name)
        return None


def typed(shape: Shape, value: Any, path: str) -> Any:
    """A JSON value as the Python value of its shape. Raises EmulatedError if it has the wrong type."""
    if getattr(shape, "is_document_type", False):
        return value
    match shape.type_name:
        case "structure":
            _expect(dict, value, path)
            return {
                name: typed(member, value[wire], f"{path}.{name}")
                for name, member in shape.members.items()
                if value.get(wire := member.serialization.get("name", name)) is not None
            }
        case "list":
            _expect(list, value, path)
            return [typed(shape.member, item, f"{path}.{index}") for index, item in enumerate(value, 1)]
        case "map":
            _expect(dict, value, path)
            return {key: typed(shape.value, item, f"{path}.{key}") for key, item in value.items()}
        case "string":
            return _expect(str, value, path)
        case "boolean":
            return _expect(bool, value, path)
        case "integer" | "long":
            return _expect(int, value, path)
        case "float" | "double":
            return _expect(float, value, path)
        case "timestamp":
            return _moment(value, path)
        case "blob":
            try:
                return base64.b64decode(_expect(str, value, path), validate=True)
            except binascii.Error as error:
                raise invalid(failed(value, path, "Member must be base64")) from error
    return value


def typed_text(shape: Shape, text: str, path: str) -> Any:
    """A string from the URI, query or headers as the Python value of its shape. Raises EmulatedError."""
    match shape.type_name:
        case "integer" | "long" | "float" | "double":
            try:
                number = float(text)
                return int(text) if shape.type_name in ("integer", "long") else number
            except ValueError as error:
                raise invalid(failed(text, path, "Member must be a number")) from error
        case "boolean":
            if text not in ("true", "false"):
                raise invalid(failed(text, path, "Member must be true or false"))
            return text == "true"
        case "timestamp":
            return _moment(text, path)
    return text


def _expect(kind: type, value: Any, path: str) -> Any:
    # In Python bool is a subclass of int; in JSON `true` is not a number.
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise EmulatedError("SerializationException", f"'{path}' must be of JSON type {kind.__name__}")
    return value


def _moment(value: Any, path: str) -> datetime:
    try:
        if isinstance(value, int | float) and math.isfinite(value):
            return datetime.fromtimestamp(value, UTC)
        moment = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError) as error:
        raise invalid(failed(value, path, "Member must be an ISO-8601 time")) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body) if body else {}
    except ValueError as error:
        raise EmulatedError("SerializationException", f"the body is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise EmulatedError("SerializationException", "the body is not a JSON object")
    return found


def _route(operation: OperationModel) -> Route:
    labels: list[str] = []

    def group(label: re.Match[str]) -> str:
        labels.append(label[1].removesuffix("+"))
        return "(.+)" if label[1].endswith("+") else "([^/]+)"

    # A model's requestUri may include a fixed query string, which plays no part in matching the path.
    path = operation.http["requestUri"].partition("?")[0]
    # `re.escape` has also escaped the braces of the labels, hence the doubled backslashes.
    pattern = re.sub(r"\\{([^}]+?)\\}", lambda m: group(m), re.escape(path))
    return Route(operation, operation.http["method"], re.compile(pattern), tuple(labels))
