"""The live line of a step that asks questions: progress, rate, what limits it, failures, cost.

1,240/3,000 answers  1,872 reused, 21.3/s, limited by tokens/min, 12 retrying, next in 3 s, 4 failures,
1.2 M tokens, about $4.10 in total, 1 min 22 s left
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator

from polytune.asking.failures import FailureKind
from polytune.asking.limits import Clock
from polytune.asking.reply import Tokens
from polytune.engine.ledger import Usage
from polytune.engine.step import Progress, Reporter

seconds_between_reports = 0.2
"""Fast enough to look live; more often would cost more than the questions do."""
rate_window_seconds = 10.0
"""The rate shown is the average over this time."""


class Gauge:
    """Counts events while questions are asked, and reports progress."""

    def __init__(self, total: int, report: Reporter, clock: Clock = time.monotonic) -> None:
        self.total = total
        self.report = report
        self.clock = clock
        self.subject = ""
        """The start of the line, such as which of several models is asked."""
        self.reused = 0
        """Answers taken from the store."""
        self.done = 0
        """Settled samples: answered and accepted, or given up."""
        self.answers = 0
        self.rejected = 0
        self.failures: Counter[FailureKind] = Counter()
        self.input_tokens = 0
        self.output_tokens = 0
        self.usd: float | None = 0.0
        self.limited_by = ""
        self.retrying = 0
        self.next_retry: float | None = None
        """When the next retry is due, on `clock`."""
        self._reported = float("-inf")
        self._landed: deque[tuple[float, int]] = deque()

    def answered(self, price_usd: float | None, tokens: Tokens) -> None:
        """Count an answer that is paid for and durable."""
        self.answers += 1
        self.input_tokens += tokens.read
        self.output_tokens += tokens.written
        # One unknown price makes the sum unknown: showing the rest as the total would understate the cost.
        self.usd = None if price_usd is None or self.usd is None else self.usd + price_usd

    def settled(self) -> None:
        """Count a settled sample."""
        self.done += 1
        self.tell()

    def failed(self, kind: FailureKind) -> None:
        """Count an attempt that got no answer."""
        self.failures[kind] += 1
        self.tell()

    def tell(self, *, now: bool = False) -> None:
        """Report the line, at most once per `seconds_between_reports` unless `now`."""
        time_now = self.clock()
        if not now and time_now - self._reported < seconds_between_reports:
            return
        self._reported = time_now
        self.say(", ".join(self._parts(time_now)))

    def say(self, note: str) -> None:
        """Report the note with the counts."""
        self.report(Progress(done=self.done, total=self.total, unit="answers", note=note, usd=self.usd))

    def usage(self) -> Usage:
        """The totals in the ledger's form."""
        return Usage(
            requests=self.answers,
            reused=self.reused,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            usd=self.usd,
        )

    def _parts(self, now: float) -> Iterator[str]:
        if self.subject:
            yield self.subject
        if self.reused:
            yield f"{self.reused:,} reused"
        rate = self._rate(now)
        if rate:
            yield f"{rate:.1f}/s"
        if self.limited_by:
            yield self.limited_by
        if self.retrying:
            due = "" if self.next_retry is None else f", next in {max(0.0, self.next_retry - now):.0f} s"
            yield f"{self.retrying} retrying{due}"
        if self.rejected:
            yield f"{self.rejected:,} rejected"
        if failed := sum(self.failures.values()):
            yield f"{failed:,} failed attempts"
        if tokens := self.input_tokens + self.output_tokens:
            yield f"{_short(tokens)} tokens"
        left = self.total - self.done
        # Extrapolated from this run's answers only: reused ones are among `done` and cost nothing.
        if self.usd and self.answers and left:
            yield f"about ${self.usd * (self.answers + left) / self.answers:,.2f} in total"
        if rate and left:
            yield f"{_duration(left / rate)} left"

    def _rate(self, now: float) -> float:
        """Recent answers per second; 0.0 until a second has passed, since a shorter time gives wild rates."""
        # A window keeps the rate current: an average since the start would hide that an endpoint slowed down.
        self._landed.append((now, self.answers))
        while now - self._landed[0][0] > rate_window_seconds:
            self._landed.popleft()
        since, before = self._landed[0]
        return (self.answers - before) / (now - since) if now - since >= 1.0 else 0.0


def _short(count: int) -> str:
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (10_000, "k")):
        if count >= size:
            return f"{count / (1000 if unit == 'k' else size):.3g} {unit}"
    return f"{count:,}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
