"""Concurrency on a clock of its own: quick to rise, deaf to sporadic refusals, level under a true limit."""

from __future__ import annotations

import heapq
import random

from polytune.asking.concurrency import Concurrency


class Ticking:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Endpoint:
    """An endpoint that lets so many a second through, and refuses others for no reason now and then."""

    def __init__(self, per_second: float, sporadic: float, burst: float) -> None:
        self.per_second = per_second
        self.sporadic = sporadic
        self.burst = burst
        self.dice = random.Random(3)
        self.level = burst
        self.since = 0.0

    def takes(self, now: float) -> bool:
        """Whether a request at this time is let through."""
        self.level = min(self.burst, self.level + (now - self.since) * self.per_second)
        self.since = now
        if self.dice.random() < self.sporadic or self.level < 1:
            return False
        self.level -= 1
        return True


def simulated(endpoint: Endpoint, answers: int, latency: float = 0.2) -> tuple[float, int, Concurrency]:
    """Seconds until so many answers, refusals until then, and the places in the end."""
    clock = Ticking()
    places = Concurrency(64, clock)
    events: list[tuple[float, str, float]] = []
    done = refused = 0
    while done < answers:
        while (wait := places.wait()) == 0.0:
            places.take()
            if endpoint.takes(clock.now):
                heapq.heappush(events, (clock.now + latency, "answer", clock.now))
            else:
                heapq.heappush(events, (clock.now + 0.002, "refusal", 0.0))
        if wait is not None and (not events or events[0][0] > clock.now + wait):
            clock.now += wait
            continue
        clock.now, what, began = heapq.heappop(events)
        if what == "answer":
            done += 1
            places.answered(clock.now - began)
            places.release()
        elif what == "refusal":
            refused += 1
            rest = places.refused(1.0)
            heapq.heappush(events, (clock.now + rest, "rested", 0.0))
        else:
            places.release()
    return clock.now, refused, places


def test_it_starts_low_and_doubles() -> None:
    """Half of the places at first; all of them after one round of answers."""
    places = Concurrency(64, Ticking())
    assert int(places.limit) == 32

    for _ in range(32):
        while places.wait() == 0.0:
            places.take()
        places.answered(0.1)
        places.release()

    assert int(places.limit) == 64


def test_sporadic_refusals_cost_next_to_nothing() -> None:
    """With two refusals in a hundred, 64 places stay nearly full: 320 a second is the bound."""
    seconds, refused, places = simulated(Endpoint(1e9, 0.02, 1e9), 4000)

    assert refused > 50
    assert 4000 / seconds > 0.9 * 320
    assert places.limit > 48


def test_a_true_limit_is_met_and_not_stormed() -> None:
    """A cap of 150 a second is used to 95 % with fewer than 150 refusals in 2,000 answers."""
    seconds, refused, _ = simulated(Endpoint(150, 0.0, 150), 2000)

    assert 2000 / seconds > 0.95 * 150
    assert refused <= 150


class Healing(Endpoint):
    """An endpoint that lets 30 a second through at first, and everything later."""

    healed_at = 10.0

    def takes(self, now: float) -> bool:
        """Whether a request at this time is let through."""
        return super().takes(now) or now > self.healed_at


def test_a_limit_that_goes_away_is_forgotten() -> None:
    """Once the endpoint takes everything again, the places come back within seconds."""
    _, _, low = simulated(Healing(30, 0.0, 30), 250)
    seconds, _, high = simulated(Healing(30, 0.0, 30), 4000)

    assert low.limit < 15
    assert high.limit > 60
    assert seconds < 10 + 20
