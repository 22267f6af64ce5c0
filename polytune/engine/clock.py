"""Time as waiting sees it: the real clock, or one that a rehearsal's server keeps.

A rehearsed job takes hours of the server's time. Waiting there means moving that time forward, so that a
day of polling takes seconds and nothing in this process pretends to be another time.
"""

from __future__ import annotations

import asyncio
import json
import time
from abc import ABC, abstractmethod
from datetime import datetime
from http.client import HTTPConnection, HTTPException
from threading import Lock
from urllib.parse import urlsplit

from polytune.errors import Paused

answer_within_seconds = 30


class Clock(ABC):
    """Tells the time and waits."""

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """That much time has passed."""

    @abstractmethod
    async def now(self) -> float:
        """Seconds since 1970 in UTC."""


class RealClock(Clock):
    """The machine's."""

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await asyncio.sleep(seconds)

    async def now(self) -> float:
        """The machine's time."""
        return time.time()


class RehearsalClock(Clock):
    """The virtual clock of an emulator, which waiting moves forward."""

    def __init__(self, url: str) -> None:
        """`url` is the emulator's control address: `<url>/advance` moves its time."""
        address = urlsplit(url)
        self._host = address.netloc
        self._path = address.path.rstrip("/")
        self._line: HTTPConnection | None = None
        self._lock = Lock()

    def __del__(self) -> None:
        if self._line is not None:
            self._line.close()

    async def sleep(self, seconds: float) -> None:
        """The emulator's time is that much later. Raises Paused when the emulator is gone."""
        await asyncio.to_thread(self._asked, "POST", "advance", json.dumps({"seconds": seconds}).encode())

    async def now(self) -> float:
        """The emulator's time. Raises Paused when the emulator is gone."""
        told = await asyncio.to_thread(self._asked, "GET", "now", None)
        return datetime.fromisoformat(told["now"]).timestamp()

    def _asked(self, method: str, what: str, body: bytes | None) -> dict[str, str]:
        with self._lock:
            line = self._line or HTTPConnection(self._host, timeout=answer_within_seconds)
            self._line = None
            try:
                line.request(method, f"{self._path}/{what}", body)
                told: dict[str, str] = json.loads(line.getresponse().read())
            except (HTTPException, OSError) as error:
                line.close()
                raise Paused(f"the emulator at {self._host} does not answer: {error}") from error
            self._line = line
            return told


def clock_at(url: str) -> Clock:
    """The clock to wait by: the real one unless a rehearsal gave an address."""
    return RehearsalClock(url) if url else RealClock()
