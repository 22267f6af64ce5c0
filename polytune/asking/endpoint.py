"""State shared by all questions to one endpoint and model: rate limits, concurrency, circuit breaker.

Two steps of one run that use the same model share one Endpoint. Its circuit breaker:

    closed   questions are sent                      `failures_to_open` failures in a row open it
    open     nothing is sent for a growing pause
    trial    one real question is sent               its answer closes, its failure opens again
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from polytune.asking.concurrency import Concurrency
from polytune.asking.limits import Clock, Limiter, RateLimits
from polytune.settings import number_above_zero

# Large enough that a few broken answers among many questions in flight do not stop all of them.
failures_to_open = 8
"""Consecutive failures before the circuit opens."""
first_pause_seconds, longest_pause_seconds = 1.0, 30.0
"""The pause before a trial; it doubles after each failed trial."""


class Circuit:
    """The circuit breaker: decides whether the endpoint may be called now."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.down_since: float | None = None
        """When the circuit opened; None while it is closed."""
        self._failures = 0
        self._pause = first_pause_seconds
        self._until = 0.0
        self._trying = False

    @property
    def open(self) -> bool:
        """Whether questions are held back, or one of them is on trial."""
        return self.down_since is not None

    def wait(self) -> float:
        """Seconds until a question may be sent; 0.0 for now; infinite while one is on trial."""
        if self.down_since is None:
            return 0.0
        return float("inf") if self._trying else max(0.0, self._until - self.clock())

    def asked(self) -> None:
        """Record that a question is sent; if the circuit is open, it is the trial."""
        self._trying = self.open

    def worked(self) -> None:
        """Close the circuit: the endpoint works."""
        self.down_since = None
        self._failures = 0
        self._pause = first_pause_seconds
        self._trying = False

    def alive(self) -> None:
        """Record that the endpoint refused: this ends a trial without a verdict; the next question is one.

        The circuit neither closes nor pauses again, because a refusal shows only that something responds.
        """
        if self._trying:
            self._trying = False
            self._until = self.clock()

    def failed(self) -> None:
        """Record a failure; opens the circuit after `failures_to_open` in a row, or after a failed trial."""
        self._failures += 1
        if self.down_since is None and self._failures < failures_to_open:
            return
        if self.down_since is None:
            self.down_since = self.clock()
        elif not self._trying:
            # A late failure of a question sent before the circuit opened says nothing new.
            return
        self._trying = False
        self._until = self.clock() + self._pause
        self._pause = min(longest_pause_seconds, self._pause * 2)


@dataclass
class Endpoint:
    """The state of one endpoint and model."""

    name: str
    limiter: Limiter
    concurrency: Concurrency
    circuit: Circuit = field(default_factory=Circuit)
    has_answered: bool = False
    failing_since: float | None = None
    """When the first attempt since the last answer failed; None while the endpoint answers."""

    def failing_seconds(self) -> float:
        """Seconds for which attempts have failed without any answer."""
        return 0.0 if self.failing_since is None else time.monotonic() - self.failing_since

    def asked(self) -> None:
        """Record that a question is sent."""
        self.circuit.asked()
        self.concurrency.take()

    def answered(self, seconds: float) -> None:
        """Record an answer that took `seconds`."""
        self.has_answered = True
        self.failing_since = None
        self.circuit.worked()
        self.concurrency.answered(seconds)

    def failed(self) -> None:
        """Record a failed attempt."""
        if self.failing_since is None:
            self.failing_since = time.monotonic()


# By event loop: an Endpoint must not outlive the run whose questions it counts as in flight.
_known: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Endpoint]] = WeakKeyDictionary()


def endpoint_called(name: str, concurrency: int, environment: Mapping[str, str]) -> Endpoint:
    """Return the endpoint of that name; all callers in the running event loop share it.

    `concurrency` applies when the endpoint is first used. POLYTUNE_REQUESTS_PER_MINUTE and
    POLYTUNE_TOKENS_PER_MINUTE set limits that the endpoint does not report itself. Raises UsageError when
    one of them is not a number above 0.
    """
    known = _known.setdefault(asyncio.get_running_loop(), {})
    if name not in known:
        limits = RateLimits(
            requests=number_above_zero(environment, "POLYTUNE_REQUESTS_PER_MINUTE"),
            tokens=number_above_zero(environment, "POLYTUNE_TOKENS_PER_MINUTE"),
        )
        known[name] = Endpoint(name, Limiter(limits), Concurrency(concurrency))
    return known[name]
