"""The live line, word for word."""

from __future__ import annotations

from polytune.asking.failures import FailureKind
from polytune.asking.gauge import Gauge
from polytune.asking.reply import Tokens
from polytune.engine.step import Progress


class Ticking:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_line_tells_everything_that_is_going_on() -> None:
    """Reused, rate, what limits, what is retried and when, rejects, failures, tokens, money and time left."""
    clock, told = Ticking(), list[Progress]()
    gauge = Gauge(3000, told.append, clock)
    gauge.reused = gauge.done = 1000
    gauge.tell()
    for _ in range(500):
        clock.now += 0.02
        gauge.answered(0.002, Tokens(500, 200))
        gauge.settled()
    gauge.failed(FailureKind.OVERLOADED)
    gauge.rejected = 3
    gauge.limited_by, gauge.retrying, gauge.next_retry = "limited by tokens/min", 12, clock.now + 3.2
    gauge.tell(now=True)

    assert told[-1].note == (
        "1,000 reused, 50.0/s, limited by tokens/min, 12 retrying, next in 3 s, 3 rejected, "
        "1 failed attempts, 350 k tokens, about $4.00 in total, 30 s left"
    )
    assert (told[-1].done, told[-1].total, told[-1].usd) == (1500, 3000, gauge.usd)


def test_it_reports_a_few_times_a_second_at_most() -> None:
    """Ten thousand answers in ten seconds are fifty reports."""
    clock, told = Ticking(), list[Progress]()
    gauge = Gauge(10_000, told.append, clock)
    for _ in range(10_000):
        clock.now += 0.001
        gauge.answered(0.0, Tokens(1, 1))
        gauge.settled()

    assert 40 <= len(told) <= 51


def test_without_a_price_no_money_is_told() -> None:
    """One answer of unknown price makes the sum unknown."""
    clock, told = Ticking(), list[Progress]()
    gauge = Gauge(2, told.append, clock)
    gauge.answered(0.5, Tokens())
    gauge.answered(None, Tokens())
    gauge.tell(now=True)

    assert told[-1].usd is None
    assert gauge.usage().usd is None
    assert "$" not in told[-1].note
