"""The hard budget: each question's maximum cost is reserved before it is sent and settled afterwards.

Spent plus reserved never exceeds the limits, however many questions are in flight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import msgspec

from polytune.engine.ledger import Spent
from polytune.errors import BudgetExceeded

rounding_usd = 1e-9
"""Tolerance for floating-point error in sums of prices."""


class BudgetLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Hard limits of one experiment; None means no limit."""

    usd: float | None = None
    requests: int | None = None
    tokens: int | None = None

    def remaining(self, spent: Spent, max_usd: float | None) -> BudgetLimits:
        """Return the limits less `spent`. `max_usd` additionally limits spending from now on."""
        left = [limit for limit in (_left(self.usd, spent.usd), max_usd) if limit is not None]
        return BudgetLimits(
            usd=min(left, default=None),
            requests=_left(self.requests, spent.requests),
            tokens=_left(self.tokens, spent.tokens),
        )


N = TypeVar("N", int, float)


def _left(limit: N | None, used: N) -> N | None:
    return None if limit is None else max(type(limit)(0), limit - used)


@dataclass(frozen=True)
class Cost:
    """The maximum or actual cost of one question. A question may be a batch of several requests."""

    usd: float | None = 0.0
    """None when the price is unknown."""
    tokens: int = 0
    requests: int = 1


no_cost = Cost(usd=0.0, tokens=0, requests=0)


class Budget:
    """Tracks what is spent and what is reserved for questions in flight, against the limits."""

    def __init__(self, limits: BudgetLimits) -> None:
        self.limits = limits
        self.usd = 0.0
        self.tokens = 0
        self.requests = 0
        self._in_flight = 0
        self._usd_reserved = 0.0
        self._tokens_reserved = 0
        self._requests_reserved = 0

    def reserve(self, most: Cost) -> bool:
        """Reserve the cost. False when it does not fit now but may fit once questions in flight are settled.

        Raises BudgetExceeded when it does not fit and nothing is in flight, or when the budget is in dollars
        and the price of the question is unknown.
        """
        exceeded = self._exceeded(most)
        if exceeded:
            # Questions in flight may cost less than their maximum, so only an idle budget can
            # say no for good.
            if self._in_flight:
                return False
            saved = "Answers so far are saved. Raise the budget and run again: nothing is asked twice"
            raise BudgetExceeded(f"{exceeded}. {saved}")
        self._in_flight += 1
        self._usd_reserved += most.usd or 0.0
        self._tokens_reserved += most.tokens
        self._requests_reserved += most.requests
        return True

    def settle(self, reserved: Cost, used: Cost) -> None:
        """Release a question's reservation and record what it actually cost."""
        self._in_flight -= 1
        # Subtracting floats leaves a residue. Reset the sum whenever nothing is in flight.
        self._usd_reserved = self._usd_reserved - (reserved.usd or 0.0) if self._in_flight else 0.0
        self._tokens_reserved -= reserved.tokens
        self._requests_reserved -= reserved.requests
        self.spend(used)

    def spend(self, used: Cost) -> None:
        """Record a cost that was never reserved: answers to requests that an earlier run sent."""
        self.usd += used.usd or 0.0
        self.tokens += used.tokens
        self.requests += used.requests

    def _exceeded(self, most: Cost) -> str:
        """Describe the limit that the question would exceed; '' when it fits."""
        limits = self.limits
        if limits.usd is not None:
            if most.usd is None:
                return "the budget is in US dollars, and no price of this teacher is known: state its `price`"
            left = limits.usd - self.usd - self._usd_reserved
            # With nothing left only free questions (a local model's) fit; the tolerance must
            # not admit tiny prices.
            if most.usd > left + rounding_usd or (most.usd > 0 and left <= 0):
                return _short("US dollars", limits.usd - self.usd, most.usd)
        requests = self.requests + self._requests_reserved + most.requests
        if limits.requests is not None and requests > limits.requests:
            return _short("requests", limits.requests - self.requests, most.requests)
        tokens = self.tokens + self._tokens_reserved + most.tokens
        if limits.tokens is not None and tokens > limits.tokens:
            return _short("tokens", limits.tokens - self.tokens, most.tokens)
        return ""


def _short(unit: str, left: float, most: float) -> str:
    what = f"{left:,.6g} more {unit}" if left > 0 else f"no more {unit}"
    return f"the budget allows {what}, and the next answer may take {most:,.6g}"
