"""An HTTP server on loopback that answers each request as its script says: wrongly, partly or never."""

from __future__ import annotations

import json
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

reasons = {200: "OK", 201: "Created", 204: "No Content"}


@dataclass(frozen=True)
class Answer:
    """One scripted answer; `sent_bytes` cuts it off after so many, `reset` ends it with a TCP reset."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    sent_bytes: int | None = None
    reset: bool = False

    @property
    def raw(self) -> bytes:
        """The bytes on the wire."""
        head = [f"HTTP/1.1 {self.status} {reasons.get(self.status, 'Whatever')}"]
        head += [f"{name}: {value}" for name, value in self.headers.items()]
        head += [f"Content-Length: {len(self.body)}", "Connection: close", "", ""]
        return ("\r\n".join(head).encode() + self.body)[: self.sent_bytes]


def answered(members: object, status: int = 200, **shape: object) -> Answer:
    """A JSON answer; `sent_bytes` and `reset` as in Answer."""
    return Answer(status, json.dumps(members).encode(), **shape)  # type: ignore[arg-type]


def refused(code: str, message: str, status: int) -> Answer:
    """An error as rest-json services state it."""
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    return Answer(status, json.dumps({"message": message}).encode(), headers)


@dataclass(frozen=True)
class Request:
    """What arrived."""

    line: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Faulty:
    """A running server: its address, what it will answer (the last answer again and again), what it got."""

    url: str
    script: list[Answer]
    got: list[Request] = field(default_factory=list)


@contextmanager
def faulty(script: Sequence[Answer], certificate: ssl.SSLContext | None = None) -> Iterator[Faulty]:
    """A server on a free port that follows the script until the block ends; with a certificate over TLS."""
    with _Server(("127.0.0.1", 0), _Connection) as server:
        if certificate is not None:
            server.socket = certificate.wrap_socket(server.socket, server_side=True)
        scheme = "https" if certificate else "http"
        running = Faulty(f"{scheme}://127.0.0.1:{server.server_address[1]}", list(script))
        server.running = running
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64
    running: Faulty

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.lock = threading.Lock()


class _Connection(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        line = self.rfile.readline().decode().strip()
        if not line:
            return
        headers: dict[str, str] = {}
        while header := self.rfile.readline().decode().strip():
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("expect") == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self.rfile.read(int(headers.get("content-length", "0")))
        with self.server.lock:
            running = self.server.running
            answer = running.script.pop(0) if len(running.script) > 1 else running.script[0]
            running.got.append(Request(line, headers, body))
        self.wfile.write(answer.raw)
        self.wfile.flush()
        if answer.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()
            self.wfile.close()
            self.connection.close()
