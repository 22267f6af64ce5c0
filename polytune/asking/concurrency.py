"""Limits how many questions are in flight to one endpoint: slow start, then additive increase and
multiplicative decrease (AIMD), gated on the share of overload answers.

A few refusals among many answers are normal: the refused questions are retried and nothing else changes.
When more than `gate` of the recent answers are refusals, the limit drops to the concurrency that the
endpoint did serve (answers per second times seconds per answer, never less than half the limit), and grows
again from there. A refused question keeps its place for a while, longer when there are more refusals, so
that an endpoint that refuses within a millisecond is not asked a thousand times a second. After the first
cut, questions are spread evenly over the time that an answer takes instead of being sent in bursts.
"""

from __future__ import annotations

import random
import time
from collections import deque
from dataclasses import dataclass

from polytune.asking.limits import Clock

gate = 0.05
"""Refusals up to this share change nothing. Measured at 2 % refusals: a cut for each one halves the rate."""
window_answers = 100
"""The share of refusals is taken over this many recent attempts."""
fewest_answers = 40
"""With fewer attempts than this, the share of refusals is not meaningful."""
deepest_cut = 0.5
"""One cut never lowers the limit below this fraction of itself."""
growth_seconds = 1.0
"""The limit grows by one place per this time while refusals are neither few nor too many."""
regained = 1.0
"""Places added per round of answers (one answer per place) while refusals are few."""
unevenness = 0.8
"""The gap between questions, as a fraction of even spacing; below 1, so that spacing itself never limits."""
shortest_wait_seconds = 0.001
"""Shorter waits are skipped: an event loop's timers are no more precise than this."""
rest_growth = 50.0
longest_rest_answers = 5.0
"""The place of a refused question rests for `rest_growth` times the share of refusals, in units of the usual
time of an answer, and for at most `longest_rest_answers` of those units."""


learning_share = 0.05
"""The weight of the latest answer in the moving average of answer times."""
unknown_seconds = 0.1
"""The assumed duration of an answer before the first one has arrived."""


@dataclass(frozen=True)
class RecentAttempt:
    """The time and the outcome of one attempt."""

    at: float
    refused: bool


class Concurrency:
    """The places for questions in flight, and the current limit on their number."""

    def __init__(self, most: int, clock: Clock = time.monotonic) -> None:
        self.most = most
        self.clock = clock
        # Slow start adds a place per answer, so from half the maximum it is at the maximum in one round.
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
        # `_wanted` notes that the limit held a question back: a limit that is not in use must not grow.
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
        """Whether refusals keep the limit below the configured maximum."""
        return self.cuts > 0 and self.limit < self.most

    @property
    def growing(self) -> bool:
        """Whether the limit can still grow."""
        return self.limit < self.most

    def take(self) -> None:
        """Take a place for a question in flight."""
        self.taken += 1
        if self.lowered:
            self._next = max(self.clock(), self._next) + unevenness * self._usual / self.limit

    def release(self) -> None:
        """Free a question's place."""
        self.taken -= 1

    def answered(self, seconds: float) -> None:
        """Record an answer that took `seconds`; the limit may grow."""
        self._see(RecentAttempt(self.clock(), refused=False))
        self._usual = seconds if not self._usual else self._usual + (seconds - self._usual) * learning_share
        if self._wanted and self.growing:
            self._wanted = False
            self._grow()

    def refused(self, retry_after: float | None) -> float:
        """Record a refusal; return for how many seconds the question's place should rest."""
        self._see(RecentAttempt(self.clock(), refused=True))
        share = self._refused / max(fewest_answers, len(self._recent))
        usual = self._usual or unknown_seconds
        if len(self._recent) >= fewest_answers and share > gate:
            self._cut(usual)
        # Random, so that questions refused together do not come back together.
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
        # Little's law: the concurrency that was served is the answer rate times the time of an answer.
        served = sum(1 for seen in self._recent if not seen.refused)
        span = self._recent[-1].at - self._recent[0].at
        at_once = served / span * usual if span > 0 else 0.0
        self.limit = max(1.0, self.limit * deepest_cut, min(at_once, self.limit - 1))
        self.cuts += 1
        self._grown = self.clock()
        # Refusals from before the cut must not cause another one: judge the new limit by new answers.
        self._recent.clear()
        self._refused = 0
