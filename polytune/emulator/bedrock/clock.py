"""The emulator's virtual clock: starts at the real time and can be moved forward to skip hours of waits."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from threading import Lock


class VirtualClock:
    """Virtual time. `speed` is in virtual seconds per real second; with 0, only `advance` moves the clock."""

    def __init__(self, start: datetime | None = None, speed: float = 1.0) -> None:
        self._start = start or datetime.now(UTC)
        self._speed = speed
        # Monotonic, so that a correction of the host's clock never moves virtual time backwards.
        self._real_start = time.monotonic()
        self._ahead = 0.0
        self._lock = Lock()

    def now(self) -> datetime:
        """The virtual time, truncated to milliseconds, the resolution of the service's timestamps."""
        with self._lock:
            passed = self._ahead + (time.monotonic() - self._real_start) * self._speed
        moment = self._start + timedelta(seconds=passed)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def advance(self, seconds: float) -> datetime:
        """The clock has moved forward by `seconds`. Returns the new time. Raises ValueError if negative."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        with self._lock:
            self._ahead += seconds
        return self.now()
