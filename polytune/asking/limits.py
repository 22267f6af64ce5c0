"""How fast one endpoint and model may be asked: requests and tokens per minute, as per-second buckets.

A minute's allowance is handed out second by second, so a limit of 1,800 requests a minute is never asked
31 times within a second. Tokens are reserved by what a question is expected to take, before it is sent,
and settled by what it did take.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]

seconds_a_minute = 60.0


class Bucket:
    """A rate in units per second; at most one second's worth is saved up.

    A take larger than that is allowed when the bucket is full, and leaves it in debt.
    """

    def __init__(self, per_minute: float, clock: Clock) -> None:
        self.clock = clock
        self.rate = per_minute / seconds_a_minute
        self.level = self.capacity
        self._since = clock()

    @property
    def capacity(self) -> float:
        """The most that can be taken at one moment: a second's worth, and never less than one unit."""
        return max(1.0, self.rate)

    def wait(self, amount: float) -> float:
        """Seconds until `amount` can be taken; 0.0 for now."""
        self._refill()
        lacking = min(amount, self.capacity) - self.level
        return 0.0 if lacking <= 1e-9 else lacking / self.rate

    def take(self, amount: float) -> None:
        """The amount is taken; a negative amount is given back."""
        self._refill()
        self.level = min(self.capacity, self.level - amount)

    def change(self, per_minute: float) -> None:
        """The rate changes now."""
        self._refill()
        self.rate = per_minute / seconds_a_minute
        self.level = min(self.level, self.capacity)

    def _refill(self) -> None:
        now = self.clock()
        self.level = min(self.capacity, self.level + (now - self._since) * self.rate)
        self._since = now


@dataclass(frozen=True)
class RateLimits:
    """What an endpoint allows per minute; None where nothing is known."""

    requests: float | None = None
    tokens: float | None = None


@dataclass(frozen=True)
class Wait:
    """How long the next question must wait, and for what."""

    seconds: float
    what: str


class Limiter:
    """The buckets of one endpoint and model."""

    def __init__(self, limits: RateLimits, clock: Clock = time.monotonic) -> None:
        """`limits` as the user states them; what the endpoint reports later can only lower them."""
        self.clock = clock
        self.stated = limits
        self._requests = _bucket(limits.requests, clock)
        self._tokens = _bucket(limits.tokens, clock)

    def wait(self, tokens: float) -> Wait | None:
        """What a question of so many tokens must wait for; None when it may be sent now."""
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
        """One question of so many expected tokens is sent now."""
        if self._requests is not None:
            self._requests.take(1.0)
        if self._tokens is not None:
            self._tokens.take(tokens)

    def settle(self, reserved: float, used: float) -> None:
        """A question that reserved so many tokens took `used`; a refused one took none."""
        if self._tokens is not None:
            self._tokens.take(used - reserved)

    def learn(self, told: RateLimits) -> None:
        """The limits that the endpoint reports hold, unless the user stated lower ones."""
        self._requests = self._changed(self._requests, self.stated.requests, told.requests)
        self._tokens = self._changed(self._tokens, self.stated.tokens, told.tokens)

    def _changed(self, bucket: Bucket | None, stated: float | None, told: float | None) -> Bucket | None:
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
