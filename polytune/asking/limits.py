"""Rate limits of one endpoint and model: requests and tokens per minute, as token buckets of one second.

A minute's allowance is released second by second, so a limit of 1,800 requests per minute never sends 31
requests within a second. The expected tokens of a question are reserved before it is sent, and corrected by
the actual number afterwards.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]

seconds_a_minute = 60.0


class Bucket:
    """A token bucket: refills at a rate in units per second, and holds at most one second's worth.

    Taking more than that is allowed when the bucket is full, and leaves it in debt.
    """

    def __init__(self, per_minute: float, clock: Clock) -> None:
        self.clock = clock
        self.rate = per_minute / seconds_a_minute
        self.level = self.capacity
        self._since = clock()

    @property
    def capacity(self) -> float:
        """The maximum level: one second's worth, and never less than one unit."""
        return max(1.0, self.rate)

    def wait(self, amount: float) -> float:
        """Seconds until `amount` can be taken; 0.0 for now."""
        self._refill()
        # An amount above the capacity waits for a full bucket only; it would otherwise wait forever.
        # The tolerance covers float errors, which would cause waits of nanoseconds.
        lacking = min(amount, self.capacity) - self.level
        return 0.0 if lacking <= 1e-9 else lacking / self.rate

    def take(self, amount: float) -> None:
        """Take the amount; a negative amount is given back."""
        self._refill()
        self.level = min(self.capacity, self.level - amount)

    def change(self, per_minute: float) -> None:
        """Change the rate; a level above the new capacity is lost."""
        self._refill()
        self.rate = per_minute / seconds_a_minute
        self.level = min(self.level, self.capacity)

    def _refill(self) -> None:
        now = self.clock()
        self.level = min(self.capacity, self.level + (now - self._since) * self.rate)
        self._since = now


@dataclass(frozen=True)
class RateLimits:
    """Requests and tokens that an endpoint allows per minute; None where unknown."""

    requests: float | None = None
    tokens: float | None = None


@dataclass(frozen=True)
class Wait:
    """How long the next question must wait, and for which limit."""

    seconds: float
    what: str


class Limiter:
    """The buckets of one endpoint and model."""

    def __init__(self, limits: RateLimits, clock: Clock = time.monotonic) -> None:
        """`limits` are the user's; limits that the endpoint reports later can only lower them."""
        self.clock = clock
        self.stated = limits
        self._requests = _bucket(limits.requests, clock)
        self._tokens = _bucket(limits.tokens, clock)

    def wait(self, tokens: float) -> Wait | None:
        """The wait for a question of `tokens` expected tokens; None when it may be sent now."""
        waits = [
            Wait(bucket.wait(amount), what)
            for bucket, amount, what in (
                (self._requests, 1.0, "requests/min"),
                (self._tokens, tokens, "tokens/min"),
            )
            if bucket is not None
        ]
        longest = max(waits, key=lambda wait: wait.seconds, default=None)
        return longest if longest is not None and longest.seconds > 0 else None

    def reserve(self, tokens: float) -> None:
        """Reserve one request and the expected tokens of a question that is sent now."""
        if self._requests is not None:
            self._requests.take(1.0)
        if self._tokens is not None:
            self._tokens.take(tokens)

    def settle(self, reserved: float, used: float) -> None:
        """Correct a reservation of tokens by the number `used`; a refused question used none."""
        if self._tokens is not None:
            self._tokens.take(used - reserved)

    def learn(self, told: RateLimits) -> None:
        """Apply the limits that the endpoint reports, unless the user's are lower."""
        self._requests = self._changed(self._requests, self.stated.requests, told.requests)
        self._tokens = self._changed(self._tokens, self.stated.tokens, told.tokens)

    def _changed(self, bucket: Bucket | None, stated: float | None, told: float | None) -> Bucket | None:
        # Headers are not trusted: at a rate of 0 the questions would wait forever.
        if told is None or not math.isfinite(told) or told <= 0:
            return bucket
        per_minute = min(told, stated or told)
        if bucket is None:
            return Bucket(per_minute, self.clock)
        if not math.isclose(bucket.rate * seconds_a_minute, per_minute):
            bucket.change(per_minute)
        return bucket


def _bucket(per_minute: float | None, clock: Clock) -> Bucket | None:
    return None if per_minute is None else Bucket(per_minute, clock)
