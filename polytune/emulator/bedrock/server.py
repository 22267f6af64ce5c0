"""The HTTP server: matches routes, holds the lock while an area answers, and applies scripted faults.

socket --Exchange--> Service.respond --> control | Dispatch --> Area
"""

from __future__ import annotations

import re
import socket
import struct
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from polytune.emulator.bedrock.call import Answer, ApiCall, Area, EmulatedError, EventStream, invalid
from polytune.emulator.bedrock.control import Control, control_prefix
from polytune.emulator.bedrock.eventstream import encode
from polytune.emulator.bedrock.faults import BedrockFault
from polytune.emulator.bedrock.service_model import Response, Route, ServiceModel, WireRequest, refused
from polytune.emulator.bedrock.world import World, default_region

credential_scope = re.compile(r"Credential=[^/,\s]+/\d{8}/(?P<region>[a-z0-9-]+)/[a-z0-9-]+/aws4_request")
most_body_bytes = 64 << 20


@dataclass(frozen=True)
class ConnectionDropped:
    """No answer: the connection is closed instead."""

    reset: bool
    """Whether it is closed by RST; otherwise by FIN."""


@dataclass(frozen=True)
class Cut:
    """An answer that is only partly sent."""

    response: Response
    sent_bytes: int
    framed: bool


@dataclass(frozen=True)
class Streamed:
    """An answer that is sent event by event."""

    chunks: Iterable[bytes]


Reply = Response | ConnectionDropped | Cut | Streamed


class EmulatedService:
    """Answers requests for one world."""

    def __init__(self, world: World, areas: Sequence[Area], *, signed: bool = True) -> None:
        """`signed`: whether a request without an Authorization header is refused."""
        self.world = world
        self.areas = areas
        self.signed = signed
        self.control = Control(world, areas)
        self.models = {name: ServiceModel(name) for name in sorted({area.service for area in areas})}

    def respond(self, request: WireRequest) -> Reply:
        """The reply to a request, with scripted faults applied."""
        # One address serves both services, so try the routes of both; they do not overlap.
        if request.path.startswith(f"{control_prefix}/"):
            return self.control.respond(request)
        for model in self.models.values():
            for route in model.routes:
                labels = route.values(request)
                if labels is not None:
                    return self._operation(model, route, labels, request)
        what = f"the emulator knows no operation at {request.method} {request.path}"
        return refused("UnknownOperationException", what, 404)

    def _operation(
        self, model: ServiceModel, route: Route, labels: dict[str, str], request: WireRequest
    ) -> Reply:
        name = route.operation.name
        with self.world.state.lock:
            self.world.state.calls[name] += 1
        fault = self.world.faults.of_call(name)
        early = self._early(model, route, fault)
        if early is not None:
            return early
        try:
            call = self._call(model, route, labels, request)
            reply = self._answered(model, route, self._answer(call))
        except EmulatedError as error:
            reply = model.refuse(route.operation, error)
        return _late(reply, fault)

    def _early(self, model: ServiceModel, route: Route, fault: BedrockFault | None) -> Reply | None:
        """The reply of a fault that hits before any work is done; None if the call goes on."""
        match fault:
            case BedrockFault(kind="throttle"):
                message = fault.message or "Too many requests, please wait before trying again."
                return model.refuse(route.operation, EmulatedError("ThrottlingException", message, 429))
            case BedrockFault(kind="error"):
                return refused(fault.code, fault.message or "a scripted error", fault.status)
            case BedrockFault(kind="expired_token"):
                message = "The security token included in the request is expired"
                return refused("ExpiredTokenException", message, 403)
            case BedrockFault(kind="reset"):
                return ConnectionDropped(reset=True)
            case BedrockFault(kind="slow"):
                time.sleep(fault.seconds)
        return None

    def _call(
        self, model: ServiceModel, route: Route, labels: dict[str, str], request: WireRequest
    ) -> ApiCall:
        authorization = request.headers.get("authorization", "")
        if self.signed and not authorization:
            raise EmulatedError("MissingAuthenticationTokenException", "Missing Authentication Token", 403)
        scope = credential_scope.search(authorization)
        members = model.read(route, labels, request)
        return ApiCall(
            service=model.service,
            operation=route.operation.name,
            members=members,
            account=self.world.account,
            region=scope["region"] if scope else default_region,
            now=self.world.clock.now(),
            token=str(members.get("clientRequestToken", "")),
        )

    def _answer(self, call: ApiCall) -> Answer:
        with self.world.state.lock:
            # Take the time again: the call may have waited for the lock, and times must not run backwards.
            call = replace(call, now=self.world.clock.now())
            before = self.world.state.answered(call)
            if before is not None:
                return before
            # Settle every area first, not only the one that answers: areas look at each other's resources.
            for area in self.areas:
                area.settle(call.now)
            for area in self.areas:
                method = area.operation(call.operation) if area.service == call.service else None
                if method is not None:
                    answer = method(call)
                    self.world.state.remember(call, answer)
                    return answer
        raise invalid(f"the emulator does not implement {call.operation}")

    def _answered(self, model: ServiceModel, route: Route, answer: Answer) -> Reply:
        if not isinstance(answer, EventStream):
            return model.write(route.operation, answer)
        shape = route.operation.get_event_stream_output()
        return Streamed(encode(shape, name, members) for name, members in answer.events)


def _late(reply: Reply, fault: BedrockFault | None) -> Reply:
    """The reply after a fault that hits once the work is done."""
    match fault:
        case BedrockFault(kind="drop_answer"):
            return ConnectionDropped(reset=False)
        case BedrockFault(kind="cut_body") if isinstance(reply, Response):
            return Cut(reply, min(fault.bytes, len(reply.body)), fault.framed)
    return reply


class HttpExchange(BaseHTTPRequestHandler):
    """One connection: handles requests until either side closes it."""

    # Keep connections open between requests, as AWS does: clients pool them.
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: LoopbackServer

    def setup(self) -> None:
        """The server knows the connection, so that it can close it when it stops."""
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        """The server no longer knows the connection."""
        self.server.connections.discard(self.connection)
        super().finish()

    def handle(self) -> None:
        """Handles requests; a client that disconnects midway is not an error."""
        try:
            super().handle()
        except (ConnectionError, BrokenPipeError):
            self.close_connection = True

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        length = int(self.headers.get("Content-Length") or 0)
        if length > most_body_bytes:
            self._send(refused("ValidationException", "the request's body is too large", 413))
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = WireRequest(self.command, path, query, headers, self.rfile.read(length))
        try:
            reply = self.server.service.respond(request)
        except Exception as error:  # noqa: BLE001 - a defect here must reach the client as JSON, not as HTML
            what = f"a defect in the emulator: {type(error).__name__}: {error}"
            reply = refused("InternalServerException", what, 500)
        self._reply(reply)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _reply(self, reply: Reply) -> None:
        match reply:
            case Response():
                self._send(reply)
            case Cut():
                self._cut(reply)
            case ConnectionDropped():
                self._drop(reset=reply.reset)
            case Streamed():
                self._stream(reply)

    def _head(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        self.send_response(status)
        self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def _send(self, response: Response) -> None:
        self._head(response.status, [*response.headers.items(), ("Content-Length", str(len(response.body)))])
        self.wfile.write(response.body)
        self.wfile.flush()

    def _cut(self, cut: Cut) -> None:
        response = cut.response
        length = cut.sent_bytes if cut.framed else len(response.body)
        self._head(response.status, [*response.headers.items(), ("Content-Length", str(length))])
        self.wfile.write(response.body[: cut.sent_bytes])
        self.wfile.flush()
        self.close_connection = True

    def _drop(self, *, reset: bool) -> None:
        # With a linger time of 0, closing the socket sends RST instead of FIN.
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def _stream(self, streamed: Streamed) -> None:
        headers = {"Content-Type": "application/vnd.amazon.eventstream", "Transfer-Encoding": "chunked"}
        self._head(200, headers.items())
        for chunk in streamed.chunks:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing; `/_control/state` counts the calls."""


class LoopbackServer(ThreadingHTTPServer):
    """Listens on 127.0.0.1 only."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, service: EmulatedService, port: int) -> None:
        self.service = service
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), HttpExchange)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Prints nothing: a broken connection is the client's business."""

    def hang_up(self) -> None:
        """Every connection is closed, so that no thread waits for another request."""
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                self.connections.discard(connection)
