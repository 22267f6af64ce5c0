"""What is shared by all who ask one endpoint for one model: its limits, its places, its circuit.

Two steps of one run that ask the same model share one of these, whatever they call it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from polytune.asking.circuit import Circuit
from polytune.asking.concurrency import Concurrency
from polytune.asking.limits import Limiter, RateLimits
from polytune.settings import number_above_zero


@dataclass
class Endpoint:
    """One endpoint and model."""

    name: str
    limiter: Limiter
    concurrency: Concurrency
    circuit: Circuit = field(default_factory=Circuit)
    has_answered: bool = False
    failing_since: float | None = None
    """When the first attempt failed since the last answer; None while it answers."""

    def failing_seconds(self) -> float:
        """For how long attempts have failed and none was answered."""
        return 0.0 if self.failing_since is None else time.monotonic() - self.failing_since

    def asked(self) -> None:
        """A question is sent to it."""
        self.circuit.asked()
        self.concurrency.take()

    def answered(self, seconds: float) -> None:
        """It answered after so many seconds."""
        self.has_answered = True
        self.failing_since = None
        self.circuit.worked()
        self.concurrency.answered(seconds)

    def failed(self) -> None:
        """An attempt brought no answer."""
        if self.failing_since is None:
            self.failing_since = time.monotonic()


_known: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Endpoint]] = WeakKeyDictionary()


def endpoint_called(name: str, concurrency: int, environment: Mapping[str, str]) -> Endpoint:
    """The endpoint of that name in the running event loop, the same one for everybody who asks for it.

    POLYTUNE_REQUESTS_PER_MINUTE and POLYTUNE_TOKENS_PER_MINUTE state limits that it does not tell itself.
    Raises UsageError when one of them is no number above 0.
    """
    known = _known.setdefault(asyncio.get_running_loop(), {})
    if name not in known:
        limits = RateLimits(
            requests=number_above_zero(environment, "POLYTUNE_REQUESTS_PER_MINUTE"),
            tokens=number_above_zero(environment, "POLYTUNE_TOKENS_PER_MINUTE"),
        )
        known[name] = Endpoint(name, Limiter(limits), Concurrency(concurrency))
    return known[name]
