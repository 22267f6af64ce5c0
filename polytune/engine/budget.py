"""The hard budget: the most a question may cost is set aside before it is sent, and settled after.

However many are in flight, what is spent and what is set aside never exceed the budget together.
"""

from __future__ import annotations

from dataclasses import dataclass

from polytune.engine.compiled import Budget
from polytune.errors import BudgetExceeded

rounding_usd = 1e-9
"""Sums of prices differ from their parts by less than this."""


@dataclass(frozen=True)
class Cost:
    """What one question takes, at most or in fact."""

    usd: float | None = 0.0
    """None when no price is known."""
    tokens: int = 0
    requests: int = 1


nothing = Cost(usd=0.0, tokens=0, requests=0)


class Purse:
    """What may still be spent, what is spent, and what is set aside for questions on their way."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.usd = 0.0
        self.tokens = 0
        self.requests = 0
        self._usd_aside = 0.0
        self._tokens_aside = 0
        self._aside = 0

    def reserve(self, most: Cost) -> bool:
        """Whether the cost is set aside; False when it may fit once questions on their way are settled.

        Raises BudgetExceeded when it does not fit and nothing is on its way, or when a budget in dollars
        meets a question without a price.
        """
        lacking = self._lacking(most)
        if lacking:
            if self._aside:
                return False
            safe = "what was answered is safe. Raise the budget and run again: nothing is asked twice"
            raise BudgetExceeded(f"{lacking}; {safe}")
        self._usd_aside += most.usd or 0.0
        self._tokens_aside += most.tokens
        self._aside += 1
        return True

    def settle(self, reserved: Cost, used: Cost) -> None:
        """What was set aside for a question is free again, and what it did cost is spent."""
        self._aside -= 1
        self._usd_aside = self._usd_aside - (reserved.usd or 0.0) if self._aside else 0.0
        self._tokens_aside -= reserved.tokens
        self.usd += used.usd or 0.0
        self.tokens += used.tokens
        self.requests += used.requests

    def _lacking(self, most: Cost) -> str:
        """Which limit the question would break, in words; '' when none."""
        budget = self.budget
        if budget.usd is not None:
            if most.usd is None:
                return "the budget is in US dollars, and no price of this teacher is known: state its `price`"
            left = budget.usd - self.usd - self._usd_aside
            if most.usd > left + rounding_usd or (most.usd > 0 and left <= 0):
                return _short("US dollars", budget.usd - self.usd, most.usd)
        if budget.requests is not None and self.requests + self._aside + 1 > budget.requests:
            return _short("requests", budget.requests - self.requests, 1)
        if budget.tokens is not None and self.tokens + self._tokens_aside + most.tokens > budget.tokens:
            return _short("tokens", budget.tokens - self.tokens, most.tokens)
        return ""


def _short(unit: str, left: float, most: float) -> str:
    what = f"{left:,.6g} more {unit}" if left > 0 else f"no more {unit}"
    return f"the budget allows {what}, and the next answer may take {most:,.6g}"
