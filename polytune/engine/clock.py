"""The clock that polling waits on: the machine's, or the virtual clock of an emulator in a rehearsal.

A rehearsed job takes hours of emulator time. Waiting moves the emulator's clock forward, so a day of polling
takes seconds, and no library in this process ever sees a fake time.
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

# The emulator runs on this machine, so a longer silence means that it is gone.
answer_within_seconds = 30


class Clock(ABC):
    """Tells the time and waits."""

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""

    @abstractmethod
    async def now(self) -> float:
        """Return the time in seconds since the Unix epoch (UTC)."""


class RealClock(Clock):
    """The machine's clock."""

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds of real time."""
        await asyncio.sleep(seconds)

    async def now(self) -> float:
        """Return the machine's time."""
        return time.time()


class RehearsalClock(Clock):
    """An emulator's virtual clock. Waiting moves it forward."""

    def __init__(self, url: str) -> None:
        """`url` is the emulator's control address; `<url>/advance` moves its clock."""
        address = urlsplit(url)
        self._host = address.netloc
        self._path = address.path.rstrip("/")
        self._line: HTTPConnection | None = None
        self._lock = Lock()

    def __del__(self) -> None:
        if self._line is not None:
            self._line.close()

    async def sleep(self, seconds: float) -> None:
        """Move the emulator's clock forward. Raises Paused when the emulator does not respond."""
        await asyncio.to_thread(self._asked, "POST", "advance", json.dumps({"seconds": seconds}).encode())

    async def now(self) -> float:
        """Return the emulator's time. Raises Paused when the emulator does not respond."""
        told = await asyncio.to_thread(self._asked, "GET", "now", None)
        return datetime.fromisoformat(told["now"]).timestamp()

    def _asked(self, method: str, what: str, body: bytes | None) -> dict[str, str]:
        # One connection, one request at a time: steps wait in parallel, from several threads.
        with self._lock:
            line = self._line or HTTPConnection(self._host, timeout=answer_within_seconds)
            self._line = None
            try:
                line.request(method, f"{self._path}/{what}", body)
                told: dict[str, str] = json.loads(line.getresponse().read())
            except (HTTPException, OSError) as error:
                # Paused, not StepFailed: the emulated job is unaffected, and `resume` continues with it.
                line.close()
                raise Paused(f"the emulator at {self._host} does not answer: {error}") from error
            self._line = line
            return told


def clock_at(url: str) -> Clock:
    """Return the clock to wait on: the real one, unless `url` names an emulator's."""
    return RehearsalClock(url) if url else RealClock()
