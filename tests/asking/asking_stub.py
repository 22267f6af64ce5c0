"""A scripted server that speaks chat completions and Anthropic's messages on a free port of 127.0.0.1.

What it answers follows from the prompt. Every request is counted under its prompt, and so is every answer
that it would have charged for, so that a test can prove that nothing was bought twice.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

read_tokens, written_tokens = 50, 20
"""What each answer says it took."""


@dataclass(frozen=True)
class Fault:
    """One reply that is no answer."""

    status: int = 500
    body: str = '{"error": {"message": "scripted"}}'
    headers: Mapping[str, str] = field(default_factory=dict)
    broken: bool = False
    """The connection is closed in the place of a reply."""


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    number: int
    """Of all requests, from 0."""
    asked: int
    """How often this prompt had been asked before."""
    prompt: str
    body: dict[str, Any]
    headers: Mapping[str, str]
    at: float


Behaviour = Callable[[Seen], Fault | str | None]
"""What to answer: a fault, a text, or None for the usual text."""


class Stub:
    """The server, in a thread of its own."""

    def __init__(
        self,
        behave: Behaviour = lambda seen: None,
        *,
        seconds: float = 0.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.behave = behave
        self.seconds = seconds
        self.headers = dict(headers or {})
        self.asked: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.seen: list[Seen] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """The server with `/v1`."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """It listens, on the port that it had before if there was one."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def stop(self) -> None:
        """Nothing listens any more."""
        assert self._loop is not None
        assert self._thread is not None
        assert self._runner is not None
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._serve, access_log=None), shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, backlog=1024).start()
        self.port = int(self._runner.addresses[0][1])

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        body = json.loads(await request.read())
        prompt = _prompt(body)
        seen = Seen(len(self.seen), self.asked[prompt], prompt, body, request.headers, time.monotonic())
        self.seen.append(seen)
        self.asked[prompt] += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._reply(request, seen)
        finally:
            self.in_flight -= 1

    async def _reply(self, request: web.BaseRequest, seen: Seen) -> web.StreamResponse:
        what = self.behave(seen)
        if isinstance(what, Fault):
            self.statuses[what.status] += 1
            if what.broken and request.transport is not None:
                request.transport.close()
            return web.Response(
                status=what.status, text=what.body, headers=what.headers, content_type="application/json"
            )
        if self.seconds:
            await asyncio.sleep(self.seconds)
        self.answered[seen.prompt] += 1
        self.statuses[200] += 1
        text = answer_to(seen.prompt) if what is None else what
        if text.startswith("{"):
            return web.Response(text=text, headers=self.headers, content_type="application/json")
        reply = _message(text) if request.path.endswith("/messages") else _completion(text)
        return web.json_response(reply, headers=self.headers)


def answer_to(prompt: str) -> str:
    """The usual text."""
    return f"answer to {prompt}"


def _prompt(body: Mapping[str, Any]) -> str:
    """The last thing that the user says."""
    return str(body["prompt"] if "prompt" in body else body["messages"][-1]["content"])


def _completion(text: str) -> dict[str, Any]:
    return {
        "id": "stub",
        "object": "chat.completion",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": read_tokens, "completion_tokens": written_tokens, "total_tokens": 70},
    }


def _message(text: str) -> dict[str, Any]:
    return {
        "id": "stub",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": read_tokens, "output_tokens": written_tokens},
    }
