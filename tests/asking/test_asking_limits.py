"""The limiter on a clock of its own: never faster than allowed, hardly slower, whatever is asked."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytune.asking.endpoint import endpoint_called
from polytune.asking.limits import Bucket, Limiter, RateLimits
from polytune.errors import UsageError
from tests.messages import matching


class Ticking:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def sent(limits: RateLimits, expected: list[float], used: list[float]) -> tuple[list[float], Ticking]:
    """When each question is sent, if each goes as soon as it may and is answered half a second later."""
    clock = Ticking()
    limiter = Limiter(limits, clock)
    times: list[float] = []
    open_ends: list[tuple[float, float, float]] = []
    for tokens, took in zip(expected, used, strict=True):
        while (wait := limiter.wait(tokens)) is not None:
            clock.now += wait.seconds
            while open_ends and open_ends[0][0] <= clock.now:
                _, reserved, real = open_ends.pop(0)
                limiter.settle(reserved, real)
        limiter.reserve(tokens)
        times.append(clock.now)
        open_ends.append((clock.now + 0.5, tokens, took))
    return times, clock


@given(st.floats(1, 100_000), st.integers(1, 300))
def test_no_second_sees_more_requests_than_its_share(per_minute: float, count: int) -> None:
    """Between any two requests lies the time that the rate demands, but for one second's allowance."""
    times, _ = sent(RateLimits(requests=per_minute), [1.0] * count, [1.0] * count)

    rate = per_minute / 60
    capacity = max(1.0, rate)
    for first in range(0, count, 7):
        for last in range(first, count, 5):
            assert last - first + 1 <= rate * (times[last] - times[first]) + capacity + 1e-6


@given(st.floats(1, 100_000), st.integers(2, 300))
def test_nothing_waits_longer_than_it_must(per_minute: float, count: int) -> None:
    """So many requests take the time that the rate demands, less the allowance, and no more."""
    times, _ = sent(RateLimits(requests=per_minute), [1.0] * count, [1.0] * count)

    rate = per_minute / 60
    assert times[-1] - times[0] <= max(0.0, count - max(1.0, rate)) / rate * (1 + 1e-9) + 1e-6


@given(
    st.floats(60, 1_000_000),
    st.lists(st.tuples(st.floats(1, 5000), st.floats(0, 1)), min_size=1, max_size=120),
)
def test_tokens_used_never_outrun_the_rate(per_minute: float, questions: list[tuple[float, float]]) -> None:
    """When each answer takes at most what was expected, all together keep to the rate."""
    expected = [tokens for tokens, _ in questions]
    used = [tokens * share for tokens, share in questions]

    times, clock = sent(RateLimits(tokens=per_minute), expected, used)

    rate = per_minute / 60
    allowed = rate * (clock.now - times[0]) + max(1.0, rate)
    assert sum(used[:-1]) <= allowed + max(expected) + 1e-3


def test_a_question_larger_than_a_second_is_sent_and_paid_off() -> None:
    """A take beyond the capacity goes when the bucket is full, and what follows waits for the debt."""
    clock = Ticking()
    bucket = Bucket(600, clock)
    assert bucket.wait(25) == 0.0
    bucket.take(25)

    assert bucket.wait(1) == pytest.approx(1.6)


def test_settling_gives_back_what_was_not_used() -> None:
    """A refused question gives its tokens back."""
    limiter = Limiter(RateLimits(tokens=6000), Ticking())
    limiter.reserve(100)
    assert limiter.wait(100) is not None

    limiter.settle(100, 0)

    assert limiter.wait(100) is None


def test_the_longest_wait_is_named() -> None:
    """Of two limits, the one that holds the question back is the one told."""
    limiter = Limiter(RateLimits(requests=60, tokens=60), Ticking())
    limiter.reserve(30)

    wait = limiter.wait(1)

    assert wait is not None
    assert (wait.what, round(wait.seconds)) == ("tokens/min", 30)


def test_what_the_endpoint_tells_only_lowers_what_the_user_states() -> None:
    """A told limit holds where none is stated, and where it is the smaller one."""
    clock = Ticking()
    limiter = Limiter(RateLimits(requests=600), clock)
    limiter.learn(RateLimits(requests=6000, tokens=math.inf))
    for _ in range(10):
        limiter.reserve(1)
    wait = limiter.wait(1)
    assert wait is not None
    assert wait.seconds == pytest.approx(0.1)

    limiter.learn(RateLimits(requests=60))

    slower = limiter.wait(1)
    assert slower is not None
    assert slower.seconds == pytest.approx(1.0)


@pytest.mark.parametrize("text", ["fast", "-1", "0", "nan", "inf"])
def test_a_limit_that_is_no_rate_is_refused(text: str) -> None:
    """A stated limit is a number above 0."""

    async def look() -> None:
        endpoint_called("somewhere", 4, {"POLYTUNE_REQUESTS_PER_MINUTE": text})

    with pytest.raises(
        UsageError,
        match=matching("asking/is-not-number-above", name="POLYTUNE_REQUESTS_PER_MINUTE", text=text),
    ):
        asyncio.run(look())
