"""How long to wait before asking again, and when to stop: one tenacity policy for each kind of failure."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import tenacity
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from polytune.asking.failures import Failure, Kind
from polytune.asking.numbers import number_above_zero

retry_after_jitter = 0.1
"""Seconds over which questions that were told the same pause come back."""


@dataclass(frozen=True)
class Policy:
    """What tenacity should do about one kind of failure."""

    wait: wait_base
    stop: stop_base


again_soon = Policy(
    tenacity.wait_exponential_jitter(multiplier=0.5, max=30, jitter=0.5), tenacity.stop_after_attempt(6)
)
policies: Mapping[Kind, Policy] = {
    Kind.OVERLOADED: Policy(
        tenacity.wait_exponential_jitter(multiplier=1, max=60, jitter=1), tenacity.stop_never
    ),
    Kind.BROKEN: again_soon,
    Kind.UNREACHABLE: again_soon,
    Kind.LOST: Policy(
        tenacity.wait_exponential_jitter(multiplier=0.5, max=30, jitter=0.5), tenacity.stop_after_attempt(3)
    ),
}
"""Kinds that are not here are never asked again."""


@dataclass(frozen=True)
class Patience:
    """How long one question, and one endpoint, is waited for; all in seconds."""

    question: float = 1800.0
    """From the first attempt at a question to the last, however often it is asked."""
    silence: float = 600.0
    """Of failures without any answer in between; then the step stops, and can be resumed."""
    first_answer: float = 30.0
    """The same, for an endpoint that does not work and has never answered in this run."""
    policies: Mapping[Kind, Policy] = field(default_factory=lambda: policies)

    def pause(self, failure: Failure, attempts: int, seconds: float) -> float | None:
        """Seconds to wait before the next attempt; None when the question is not asked again.

        `attempts` have failed, the first of them `seconds` ago.
        """
        policy = self.policies.get(failure.kind)
        if policy is None:
            return None
        state = _state(attempts, seconds)
        if policy.stop(state):
            return None
        asked_for = failure.retry_after
        pause = policy.wait(state) if asked_for is None else asked_for + random.random() * retry_after_jitter
        return pause if seconds + pause <= self.question else None

    def is_over(self, failure: Failure, seconds: float, *, answered: bool) -> bool:
        """Whether an endpoint is given up that has brought failures only for so many seconds."""
        never_worked = failure.kind.down and not answered
        return seconds > (min(self.first_answer, self.silence) if never_worked else self.silence)


def patience_in(environment: Mapping[str, str]) -> Patience:
    """The usual patience, or that of POLYTUNE_PATIENCE_SECONDS: how long an endpoint may bring failures only.

    Raises UsageError when that is no number above 0.
    """
    usual = Patience()
    silence = number_above_zero(environment, "POLYTUNE_PATIENCE_SECONDS")
    if silence is None:
        return usual
    return Patience(silence=silence, first_answer=min(silence, usual.first_answer))


_retrying = tenacity.Retrying()


def _state(attempts: int, seconds: float) -> tenacity.RetryCallState:
    """The state of a call that has failed so often within so many seconds, as tenacity keeps it."""
    state = tenacity.RetryCallState(_retrying, None, (), {})
    state.attempt_number = attempts
    state.start_time = time.monotonic() - seconds
    state.outcome_timestamp = state.start_time + seconds
    return state
