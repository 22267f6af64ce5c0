"""Time as waiting sees it: the real clock, or one that a rehearsal's server keeps.

A rehearsed job takes hours of the server's time. Waiting there means moving that time forward, so that a
day of polling takes seconds and nothing in this process pretends to be another time.
"""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from abc import ABC, abstractmethod
from datetime import datetime

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
        self.url = url.rstrip("/")

    async def sleep(self, seconds: float) -> None:
        """The emulator's time is that much later."""
        await asyncio.to_thread(self._asked, "/advance", json.dumps({"seconds": seconds}).encode())

    async def now(self) -> float:
        """The emulator's time."""
        told = await asyncio.to_thread(self._asked, "/now", None)
        return datetime.fromisoformat(told["now"]).timestamp()

    def _asked(self, path: str, body: bytes | None) -> dict[str, str]:
        request = urllib.request.Request(self.url + path, data=body)
        with urllib.request.urlopen(request, timeout=answer_within_seconds) as answer:
            told: dict[str, str] = json.load(answer)
            return told


def clock_at(url: str) -> Clock:
    """The clock to wait by: the real one unless a rehearsal gave an address."""
    return RehearsalClock(url) if url else RealClock()
