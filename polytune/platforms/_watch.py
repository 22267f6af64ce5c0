"""Watches one job until it ends, through failures of the network or the credentials."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import msgspec

from polytune.engine.clock import Clock
from polytune.errors import PolytuneError
from polytune.platforms._managed import Curves, JobObservation, ManagedJob

longest_pause_seconds = 300.0
"""The longest pause between two looks at a job, however many have failed."""


class Watchable(Protocol):
    """The part of a platform's management that watching needs."""

    def look(self, job: ManagedJob) -> ManagedJob | None:
        """The job's current state; None when it no longer exists."""

    def curves(self, job: ManagedJob) -> Curves:
        """The curves that a training job has written so far."""

    def reopen(self) -> None:
        """Settings and credentials are read again before the next call."""


W = TypeVar("W", bound=Watchable)


@dataclass(frozen=True)
class Watching(Generic[W]):
    """How to watch a job.

    A failed look says nothing about the job, so it is repeated after a pause that doubles up to five minutes.
    Credentials are read again after each failure.
    """

    clock: Clock
    pause_seconds: float

    async def found(
        self, find: Callable[[], tuple[W, ManagedJob]], report: Callable[[str, float], None]
    ) -> tuple[W, ManagedJob]:
        """The platform and its job; transient failures are retried, others are raised.

        `report` is called with each transient failure and the seconds until the next attempt.
        """
        troubles = 0
        while True:
            try:
                return await asyncio.to_thread(find)
            except PolytuneError as failure:
                if not failure.transient:
                    raise
                troubles += 1
                pause = longer(self.pause_seconds, troubles)
                report(str(failure), pause)
                await self.clock.sleep(pause)

    async def observations(self, platform: W, job: ManagedJob) -> AsyncIterator[JobObservation]:
        """One observation per look; the last one when the job has ended or no longer exists."""
        last = JobObservation(job=job)
        troubles = 0
        while True:
            seen = await asyncio.to_thread(_observed, platform, last)
            troubles = troubles + 1 if seen.trouble else 0
            over = seen.gone or (seen.job.final and not seen.trouble)
            pause = 0.0 if over else longer(self.pause_seconds, troubles)
            yield msgspec.structs.replace(seen, next_look_seconds=pause)
            if over:
                return
            last = seen
            await self.clock.sleep(pause)


def _observed(platform: Watchable, last: JobObservation) -> JobObservation:
    """The next observation; never raises errors of the platform, the network or an invalid `.env`."""
    try:
        found = platform.look(last.job)
    except (PolytuneError, OSError) as failure:
        platform.reopen()
        return msgspec.structs.replace(last, trouble=str(failure))
    if found is None:
        return msgspec.structs.replace(last, gone=True, trouble="")
    try:
        curves = platform.curves(found)
    except PolytuneError:
        curves = last.curves  # a bucket that may not be read, for example: the status is still worth showing
    return JobObservation(job=found, curves=curves)


def longer(pause: float, troubles: int) -> float:
    """The pause in seconds after this many failed looks in a row."""
    if not troubles:
        return pause
    # The exponent is capped so that the float cannot overflow after a night without network.
    return max(pause, min(pause * 2.0 ** min(troubles, 30), longest_pause_seconds))
