"""Retry policy: whether to ask a question again, after what pause, and when to stop, by kind of failure.

OVERLOADED               growing pauses up to a minute, as long as the question has time
BROKEN, UNREACHABLE      six attempts
LOST                     three attempts, because each may have been billed
anything else            one attempt
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

from tenacity import (
    AsyncRetrying,
    AttemptManager,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_any,
    stop_before_delay,
    stop_never,
    wait_exponential_jitter,
)
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from polytune.asking.failures import Failure, FailureKind
from polytune.settings import number_above_zero

retry_after_jitter = 0.1
"""Questions that were given the same pause come back spread over this many seconds."""


@dataclass(frozen=True)
class RetryPolicy:
    """tenacity's strategies for one kind of failure."""

    wait: wait_base
    stop: stop_base


again_soon = RetryPolicy(wait_exponential_jitter(multiplier=0.5, max=30, jitter=0.5), stop_after_attempt(6))
policies: Mapping[FailureKind, RetryPolicy] = {
    FailureKind.OVERLOADED: RetryPolicy(wait_exponential_jitter(multiplier=1, max=60, jitter=1), stop_never),
    FailureKind.BROKEN: again_soon,
    FailureKind.UNREACHABLE: again_soon,
    FailureKind.LOST: RetryPolicy(
        wait_exponential_jitter(multiplier=0.5, max=30, jitter=0.5), stop_after_attempt(3)
    ),
}
"""Questions that failed with any other kind are never retried."""


@dataclass(frozen=True)
class RetryLimits:
    """How long one question, and one endpoint, is retried."""

    question_seconds: float = 1800.0
    """From the first attempt at a question to the last, regardless of the number of attempts."""
    silence_seconds: float = 600.0
    """Time with failures and without any answer after which the step pauses; it can be resumed."""
    first_answer_seconds: float = 30.0
    """The same for an endpoint that is down and has never answered in this run: probably a wrong address."""

    def gives_up_endpoint(self, failure: Failure, seconds: float, *, answered: bool) -> bool:
        """Whether to give up an endpoint that has only failed for this many seconds."""
        never_worked = failure.kind.down and not answered
        silence = self.silence_seconds
        return seconds > (min(self.first_answer_seconds, silence) if never_worked else silence)


def retry_limits(environment: Mapping[str, str], usual: RetryLimits = RetryLimits()) -> RetryLimits:
    """The usual limits; POLYTUNE_PATIENCE_SECONDS overrides how long an endpoint may only fail.

    Raises UsageError when the variable is not a number above 0.
    """
    silence = number_above_zero(environment, "POLYTUNE_PATIENCE_SECONDS")
    if silence is None:
        return usual
    first_answer = min(silence, usual.first_answer_seconds)
    return RetryLimits(
        question_seconds=usual.question_seconds, silence_seconds=silence, first_answer_seconds=first_answer
    )


class QuestionRetries:
    """Decides after each failed attempt at one question whether and when to retry.

    This is tenacity's retry loop, except that it returns the pause instead of sleeping: the client sends
    other questions meanwhile, and the rate limits decide when this one is really sent.
    """

    def __init__(self, limits: RetryLimits, started: float) -> None:
        """`started` is when the first attempt began, on time.monotonic's clock."""
        self.limits = limits
        self.started = started
        self._pause = 0.0
        self._attempt: AttemptManager | None = None
        # A QuestionRetries is created at the first failure, so that questions answered at once cost nothing.
        # The first attempt counts too, so its time is subtracted here.
        left = limits.question_seconds - (time.monotonic() - started)
        self._attempts = aiter(
            AsyncRetrying(
                sleep=self._note,
                wait=_wait,
                stop=stop_any(_StopByKind(), stop_before_delay(left)),
                retry=retry_if_exception(lambda error: isinstance(error, Failure) and error.kind in policies),
                reraise=True,
            )
        )

    async def _note(self, seconds: float) -> None:
        self._pause = seconds

    async def after(self, failure: Failure) -> float | None:
        """Seconds until the next attempt; None when the question is given up."""
        # tenacity learns of a failure only when it is raised inside the attempt's context manager.
        if self._attempt is None:
            self._attempt = await anext(self._attempts)
        with self._attempt:
            raise failure
        try:
            self._attempt = await anext(self._attempts)
        except Failure:
            return None
        return self._pause

    def has_time(self) -> bool:
        """Whether the question's time limit allows another attempt."""
        return time.monotonic() - self.started < self.limits.question_seconds


def _failure(state: RetryCallState) -> Failure:
    error = state.outcome.exception() if state.outcome is not None else None
    assert isinstance(error, Failure), "attempts end with a Failure here"
    return error


def _wait(state: RetryCallState) -> float:
    failure = _failure(state)
    if failure.retry_after is not None:
        return failure.retry_after + random.random() * retry_after_jitter
    return policies[failure.kind].wait(state)


class _StopByKind(stop_base):
    def __call__(self, retry_state: RetryCallState) -> bool:
        return policies[_failure(retry_state).kind].stop(retry_state)
