"""What everybody shares who asks one endpoint for one model: rate limits, concurrency, circuit breaker.

Two steps of one run that ask the same model share one Endpoint. Its circuit breaker:

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

failures_to_open = 8
first_pause_seconds, longest_pause_seconds = 1.0, 30.0


class Circuit:
    """The circuit breaker: whether the endpoint may be asked now."""

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
        """The endpoint works: the circuit is closed."""
        self.down_since = None
        self._failures = 0
        self._pause = first_pause_seconds
        self._trying = False

    def alive(self) -> None:
        """The endpoint responded, if only to refuse: a trial is over, the next question is another."""
        if self._trying:
            self._trying = False
            self._until = self.clock()

    def failed(self) -> None:
        """The endpoint did not work."""
        self._failures += 1
        if self.down_since is None and self._failures < failures_to_open:
            return
        if self.down_since is None:
            self.down_since = self.clock()
        elif not self._trying:
            # A late failure of a question sent before the circuit opened: it has been counted.
            return
        self._trying = False
        self._until = self.clock() + self._pause
        self._pause = min(longest_pause_seconds, self._pause * 2)


@dataclass
class Endpoint:
    """One endpoint and model."""

    name: str
    limiter: Limiter
    concurrency: Concurrency
    circuit: Circuit = field(default_factory=Circuit)
    has_answered: bool = False
    failing_since: float | None = None
    """When the first attempt failed since the last answer; None while it answers."""

    def failing_seconds(self) -> float:
        """For how long attempts have failed and none was answered."""
        return 0.0 if self.failing_since is None else time.monotonic() - self.failing_since

    def asked(self) -> None:
        """A question is sent to it."""
        self.circuit.asked()
        self.concurrency.take()

    def answered(self, seconds: float) -> None:
        """It answered after so many seconds."""
        self.has_answered = True
        self.failing_since = None
        self.circuit.worked()
        self.concurrency.answered(seconds)

    def failed(self) -> None:
        """An attempt failed."""
        if self.failing_since is None:
            self.failing_since = time.monotonic()


_known: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Endpoint]] = WeakKeyDictionary()


def endpoint_called(name: str, concurrency: int, environment: Mapping[str, str]) -> Endpoint:
    """The endpoint of that name in the running event loop, the same one for everybody who asks for it.

    POLYTUNE_REQUESTS_PER_MINUTE and POLYTUNE_TOKENS_PER_MINUTE state limits that it does not tell itself.
    Raises UsageError when one of them is no number above 0.
    """
    known = _known.setdefault(asyncio.get_running_loop(), {})
    if name not in known:
        limits = RateLimits(
            requests=number_above_zero(environment, "POLYTUNE_REQUESTS_PER_MINUTE"),
            tokens=number_above_zero(environment, "POLYTUNE_TOKENS_PER_MINUTE"),
        )
        known[name] = Endpoint(name, Limiter(limits), Concurrency(concurrency))
    return known[name]
