"""The hard budget: the most a question may cost is reserved before it is sent, and settled after.

However many questions are in flight, spent and reserved together never exceed the limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import msgspec

from polytune.engine.ledger import Spent
from polytune.errors import BudgetExceeded

rounding_usd = 1e-9
"""Sums of prices differ from their parts by less than this."""


class BudgetLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Hard limits of one experiment; None is no limit."""

    usd: float | None = None
    requests: int | None = None
    tokens: int | None = None

    def remaining(self, spent: Spent, max_usd: float | None) -> BudgetLimits:
        """What is left of the limits; `max_usd` is a limit of its own on what comes from now on."""
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
    """What one question takes, at most or in fact. A question may be a batch of several requests."""

    usd: float | None = 0.0
    """None when no price is known."""
    tokens: int = 0
    requests: int = 1


no_cost = Cost(usd=0.0, tokens=0, requests=0)


class Budget:
    """What may still be spent, what is spent, and what is reserved for questions that are in flight."""

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
        """Whether the cost is reserved; False when it may fit once questions in flight are settled.

        Raises BudgetExceeded when it does not fit and nothing is in flight, or when a budget in dollars
        meets a question without a price.
        """
        exceeded = self._exceeded(most)
        if exceeded:
            # What is in flight may turn out cheaper than its worst case, so only an idle budget is final.
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
        """What was reserved for a question is free again, and what it did cost is spent."""
        self._in_flight -= 1
        # Floats do not add up to exactly 0 again: with nothing in flight the sum starts anew.
        self._usd_reserved = self._usd_reserved - (reserved.usd or 0.0) if self._in_flight else 0.0
        self._tokens_reserved -= reserved.tokens
        self._requests_reserved -= reserved.requests
        self.spend(used)

    def spend(self, used: Cost) -> None:
        """This much is spent for which nothing was reserved: answers to what an earlier run had asked."""
        self.usd += used.usd or 0.0
        self.tokens += used.tokens
        self.requests += used.requests

    def _exceeded(self, most: Cost) -> str:
        """Which limit the question would break, in words; '' when none."""
        limits = self.limits
        if limits.usd is not None:
            if most.usd is None:
                return "the budget is in US dollars, and no price of this teacher is known: state its `price`"
            left = limits.usd - self.usd - self._usd_reserved
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
