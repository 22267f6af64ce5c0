"""A stand-in for the Polychat API on loopback: the contract of POST /apps/strudel/generate, faults included.

    with PolychatStandIn(Conduct(latency_seconds=0.2)) as polychat:
        ...  # ask polychat.address as one would https://api.polychat.app

Answers are synthetic: they depend on the request and on how often it was answered before. Requests are
counted by body, so that a test can prove that no answer was paid for twice.

    POST /_control/faults   adds a list of faults (see `script.py`)      DELETE clears them
    GET  /_control/state    counts of requests and answers               DELETE resets the state
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import msgspec
from aiohttp import web

from polytune.emulator.polychat.api import ApiReply, ApiRequest, Conduct, PolychatApi, generate_path
from polytune.emulator.polychat.script import PolychatFault, Script
from polytune.errors import Busy, UsageError

__all__ = ["Conduct", "PolychatFault", "PolychatStandIn", "StandInState"]

encoder = msgspec.json.Encoder()
# Tests open hundreds of connections at once, more than aiohttp's default backlog of 128 holds.
waiting_connections = 1024


class StandInState(msgspec.Struct, frozen=True, kw_only=True):
    """What the stand-in has seen since it was created or last reset."""

    requests: int
    """Requests to the generate route, with any outcome."""
    answers: int
    """Answers that would have been charged for."""
    statuses: dict[str, int]
    """The number of requests by HTTP status; 'closed' for a connection closed by a fault."""
    most_in_flight: int
    """The largest number of requests that were being handled at once."""
    asked: dict[str, int]
    """Requests by body, as JSON with sorted keys."""
    answered: dict[str, int]
    """Charged answers by body, as JSON with sorted keys."""


class PolychatStandIn:
    """The server. It runs in its own thread."""

    def __init__(self, conduct: Conduct | None = None) -> None:
        self.address = ""
        """http://127.0.0.1:<port>; '' before `start`."""
        self._conduct = conduct or Conduct()
        self._script = Script()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._runner: web.ServerRunner | None = None
        self._in_flight = 0
        self._forget()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, port: int = 0) -> str:
        """The server is running. Returns its address. Port 0 takes a free one; raises Busy if it is taken."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="polychat-stand-in", daemon=True)
        thread.start()
        self._loop, self._thread = loop, thread
        try:
            bound = asyncio.run_coroutine_threadsafe(self._listen(port), loop).result()
        except OSError as error:
            self.stop()
            raise Busy(f"port {port} of 127.0.0.1: {error.strerror}. Choose another port.") from error
        self.address = f"http://127.0.0.1:{bound}"
        return self.address

    def stop(self) -> None:
        """The server has stopped. Its state survives, also over a restart."""
        if self._loop is None or self._thread is None:
            return
        if self._runner is not None:
            asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = self._runner = None

    def fail(self, faults: Sequence[PolychatFault]) -> None:
        """The faults have been appended to the script."""
        self._script.extend(faults)

    def state(self) -> StandInState:
        """What the stand-in has seen so far."""
        with self._lock:
            return StandInState(
                requests=self._asked.total(),
                answers=self._answered.total(),
                statuses=dict(self._statuses),
                most_in_flight=self._most_in_flight,
                asked=dict(self._asked),
                answered=dict(self._answered),
            )

    def _forget(self) -> None:
        with self._lock:
            self._api = PolychatApi(self._conduct)
            self._asked: Counter[str] = Counter()
            self._answered: Counter[str] = Counter()
            self._statuses: Counter[str] = Counter()
            self._most_in_flight = 0

    async def _listen(self, port: int) -> int:
        server = web.Server(self._serve, access_log=None)
        # A slow answer, or an idle connection, must not hold up `stop`.
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port, backlog=waiting_connections).start()
        return int(self._runner.addresses[0][1])

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = ApiRequest(request.method, request.path, request.headers, await request.read())
        if asked.path.startswith("/_control/"):
            return _whole(self._control(asked))
        if (asked.method, asked.path) != ("POST", generate_path):
            return _whole(self._api.gate(asked) or self._api.other(asked))
        return await self._generate(request, asked)

    async def _generate(self, request: web.BaseRequest, asked: ApiRequest) -> web.StreamResponse:
        body = _canonical(asked.raw)
        with self._lock:
            self._asked[body] += 1
            self._in_flight += 1
            self._most_in_flight = max(self._most_in_flight, self._in_flight)
        fault = self._script.next(asked.raw)
        try:
            reply = await self._reply(asked, fault)
        finally:
            with self._lock:
                self._in_flight -= 1
        # An answer whose connection breaks is charged all the same: that is the case to test.
        broken = fault is not None and fault.kind in ("reset", "dropped", "cut")
        with self._lock:
            if reply.charged:
                self._answered[body] += 1
            self._statuses["closed" if broken else str(reply.status)] += 1
        return await _broken(request, reply, cut=fault.kind == "cut") if broken and fault else _whole(reply)

    async def _reply(self, asked: ApiRequest, fault: PolychatFault | None) -> ApiReply:
        if fault is not None and fault.kind == "reset":
            return ApiReply(0, None)
        refused = self._api.gate(asked) or (self._api.refusal(fault) if fault is not None else None)
        if refused is not None:
            return refused
        wanted = self._api.wanted(asked)
        if isinstance(wanted, ApiReply):
            return wanted
        late = self._conduct.latency_seconds + (fault.seconds if fault is not None else 0.0)
        if late:
            await asyncio.sleep(late)
        return self._api.pattern(wanted, fault)

    def _control(self, asked: ApiRequest) -> ApiReply:
        match asked.method, asked.path:
            case "POST", "/_control/faults":
                try:
                    return ApiReply(200, {"added": self._script.add(asked.raw)})
                except UsageError as error:
                    return ApiReply(400, {"error": str(error)})
            case "GET", "/_control/faults":
                return ApiReply(200, self._script.faults)
            case "DELETE", "/_control/faults":
                self._script.clear()
                return ApiReply(200, {})
            case "GET", "/_control/state":
                return ApiReply(200, self.state())
            case "DELETE", "/_control/state":
                self._forget()
                return ApiReply(200, {})
            case _:
                return ApiReply(404, {"error": f"no control at {asked.method} {asked.path}"})


def _canonical(raw: bytes) -> str:
    """The body as JSON with sorted keys, equal for equivalent bodies; its text if it is not JSON."""
    try:
        return msgspec.json.encode(msgspec.json.decode(raw), order="deterministic").decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return raw.decode(errors="replace")


def _whole(reply: ApiReply) -> web.Response:
    headers = {"Retry-After": str(reply.retry_after)} if reply.retry_after is not None else None
    content = encoder.encode(reply.body)
    return web.Response(status=reply.status, body=content, headers=headers, content_type="application/json")


async def _broken(request: web.BaseRequest, reply: ApiReply, *, cut: bool) -> web.StreamResponse:
    """The connection is closed without an answer; with `cut`, after half of it."""
    content = encoder.encode(reply.body)
    half = web.StreamResponse(headers={"Content-Length": str(len(content))})
    if cut:
        await half.prepare(request)
        await half.write(content[: len(content) // 2])
    # `close` still sends what was written; `abort` discards it.
    if request.transport is not None:
        request.transport.close() if cut else request.transport.abort()
    return half
