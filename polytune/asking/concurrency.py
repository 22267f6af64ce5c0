"""How many questions may be in flight to one endpoint: slow start, then additive increase and
multiplicative decrease, gated on the share of overload answers.

A few refusals among many answers are normal: the refused questions are retried and nothing else changes.
When more than `gate` of the recent answers are refusals, the limit falls to what the endpoint did serve at
once (served a second times seconds an answer, never less than half), and grows again from there. A refused
question's place stays taken for a while, the longer the more refusals there are, so that an endpoint that
refuses within a millisecond is not asked a thousand times a second. And once it has had to fall, questions
are sent evenly over the time that an answer takes, not all at once.
"""

from __future__ import annotations

import random
import time
from collections import deque
from dataclasses import dataclass

from polytune.asking.limits import Clock

gate = 0.05
"""Refusals of up to this share change nothing (measured at 2 %: a cut for each one halves the rate)."""
window_answers = 100
fewest_answers = 40
"""With fewer, a share is not meaningful."""
deepest_cut = 0.5
growth_seconds = 1.0
"""One more place per this time while refusals are neither few nor too many."""
regained = 1.0
"""Places more for each round of answers while there are few."""
unevenness = 0.8
"""Questions are sent this much closer than evenly, so that the even spacing itself never limits."""
shortest_wait_seconds = 0.001
rest_growth = 50.0
longest_rest_answers = 5.0
"""A refused question's place rests for `rest_growth` times the share of refusals, in units of the time that
an answer takes, and for at most so many of them."""


learning_share = 0.05
unknown_seconds = 0.1
"""The assumed duration of an answer before there was one."""


@dataclass(frozen=True)
class RecentAttempt:
    at: float
    refused: bool


class Concurrency:
    """The places for questions in flight, and how many there may be now."""

    def __init__(self, most: int, clock: Clock = time.monotonic) -> None:
        self.most = most
        self.clock = clock
        self.limit = float(max(min(4, most), most // 2))
        self.taken = 0
        self.cuts = 0
        self._recent: deque[RecentAttempt] = deque(maxlen=window_answers)
        self._refused = 0
        self._grown = clock()
        self._next = 0.0
        self._usual = 0.0
        self._wanted = False

    def wait(self) -> float | None:
        """Seconds until one more question may be sent; None when a place must become free first."""
        if self.taken >= int(self.limit):
            self._wanted = True
            return None
        early = self._next - self.clock() if self.lowered else 0.0
        if early < shortest_wait_seconds:
            return 0.0
        self._wanted = True
        return early

    @property
    def lowered(self) -> bool:
        """Whether the endpoint's refusals keep the limit below what was asked for."""
        return self.cuts > 0 and self.limit < self.most

    @property
    def growing(self) -> bool:
        """Whether there may soon be more places than now."""
        return self.limit < self.most

    def take(self) -> None:
        """A question is in flight."""
        self.taken += 1
        if self.lowered:
            self._next = max(self.clock(), self._next) + unevenness * self._usual / self.limit

    def release(self) -> None:
        """A question's place is free again."""
        self.taken -= 1

    def answered(self, seconds: float) -> None:
        """An answer came after so many seconds: the limit may grow."""
        self._see(RecentAttempt(self.clock(), refused=False))
        self._usual = seconds if not self._usual else self._usual + (seconds - self._usual) * learning_share
        if self._wanted and self.growing:
            self._wanted = False
            self._grow()

    def refused(self, retry_after: float | None) -> float:
        """The endpoint is overloaded; how many seconds the question's place should rest."""
        self._see(RecentAttempt(self.clock(), refused=True))
        share = self._refused / max(fewest_answers, len(self._recent))
        usual = self._usual or unknown_seconds
        if len(self._recent) >= fewest_answers and share > gate:
            self._cut(usual)
        rest = usual * min(longest_rest_answers, rest_growth * share) * random.uniform(0.5, 1.0)
        return rest if retry_after is None else min(rest, retry_after)

    def _see(self, seen: RecentAttempt) -> None:
        if len(self._recent) == window_answers:
            self._refused -= self._recent[0].refused
        self._recent.append(seen)
        self._refused += seen.refused

    def _grow(self) -> None:
        if not self.cuts:
            self.limit = min(self.most, self.limit + 1)
        elif len(self._recent) >= fewest_answers and self._refused <= gate / 2 * len(self._recent):
            self.limit = min(self.most, self.limit + regained / self.limit)
        elif self.clock() - self._grown >= growth_seconds:
            self._grown = self.clock()
            self.limit = min(self.most, self.limit + 1)

    def _cut(self, usual: float) -> None:
        served = sum(1 for seen in self._recent if not seen.refused)
        span = self._recent[-1].at - self._recent[0].at
        at_once = served / span * usual if span > 0 else 0.0
        self.limit = max(1.0, self.limit * deepest_cut, min(at_once, self.limit - 1))
        self.cuts += 1
        self._grown = self.clock()
        self._recent.clear()
        self._refused = 0
