"""The emulator's time: it starts at the real time and can be moved forward, so hours pass in no time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from threading import Lock


class VirtualClock:
    """Virtual time. `speed` is in virtual seconds per real second; 0 stands still between advances."""

    def __init__(self, start: datetime | None = None, speed: float = 1.0) -> None:
        self._start = start or datetime.now(UTC)
        self._speed = speed
        self._real_start = time.monotonic()
        self._ahead = 0.0
        self._lock = Lock()

    def now(self) -> datetime:
        """The virtual time, in whole milliseconds, as the service reports them."""
        with self._lock:
            passed = self._ahead + (time.monotonic() - self._real_start) * self._speed
        moment = self._start + timedelta(seconds=passed)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def advance(self, seconds: float) -> datetime:
        """The clock has moved forward; returns the new time. Raises ValueError for a negative number."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        with self._lock:
            self._ahead += seconds
        return self.now()
