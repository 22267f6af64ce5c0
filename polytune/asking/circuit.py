"""The circuit breaker of one endpoint: when it is down, nothing is asked until one question gets through.

closed   questions flow                          `failures_to_open` failures in a row open it
open     nothing is asked for a growing pause
trial    one real question is asked              its answer closes, its failure opens again
"""

from __future__ import annotations

import time

from polytune.asking.limits import Clock

failures_to_open = 8
first_pause_seconds, longest_pause_seconds = 1.0, 30.0


class Circuit:
    """Whether the endpoint may be asked now."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.down_since: float | None = None
        """When it opened; None while it is closed."""
        self._failures = 0
        self._pause = first_pause_seconds
        self._until = 0.0
        self._trying = False

    @property
    def open(self) -> bool:
        """Whether questions wait, or one of them is on trial."""
        return self.down_since is not None

    def wait(self) -> float:
        """Seconds until a question may be sent; 0.0 for now; infinite while one is on trial."""
        if self.down_since is None:
            return 0.0
        return float("inf") if self._trying else max(0.0, self._until - self.clock())

    def asked(self) -> None:
        """A question is sent; if the circuit is open, it is the trial."""
        self._trying = self.open

    def worked(self) -> None:
        """The endpoint did its work: the circuit is closed."""
        self.down_since = None
        self._failures = 0
        self._pause = first_pause_seconds
        self._trying = False

    def alive(self) -> None:
        """The endpoint spoke, if only to refuse: a trial is over, and the next question is one again."""
        if self._trying:
            self._trying = False
            self._until = self.clock()

    def failed(self) -> None:
        """The endpoint did not do its work."""
        self._failures += 1
        if self.down_since is None and self._failures < failures_to_open:
            return
        if self.down_since is None:
            self.down_since = self.clock()
        elif not self._trying:
            return
        self._trying = False
        self._until = self.clock() + self._pause
        self._pause = min(longest_pause_seconds, self._pause * 2)
