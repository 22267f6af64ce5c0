"""Long work outside this process, bought once: intent, submit, record, poll, collect.

    intent     the row with the token is durable before anything is asked for
    submit     the driver is asked; the same token twice is the same job
    record     the handle is durable right after
    poll       any process may do it; a look that fails says nothing about the job
    collect    the caller reads the outputs of a completed job

A token is the step's key and the number of the attempt, so a restart finds its job and never starts a
second. A driver knows one kind of place where jobs run: child processes here, a cloud service elsewhere.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from polytune.engine.artifacts import Facts
from polytune.engine.clock import Clock
from polytune.engine.jobbook import JobBook, JobRow, JobState
from polytune.errors import Detached, StepFailed

slower = 1.5
"""Each pause is this much longer than the one before, up to the driver's longest."""
longest_after_trouble_seconds = 300.0


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at a job showed."""

    state: JobState
    message: str = ""
    """Why it failed, or what it is doing."""
    done: float = 0.0
    """Progress from 0 to 1, where the job tells."""
    trouble: bool = False
    """Whether the look itself failed, which says nothing about the job; `message` says how."""


class Driver(ABC):
    """One kind of place where jobs run."""

    pauses: ClassVar[tuple[float, float]] = (1.0, 1.0)
    """Seconds between two looks: at first, and at most."""

    @abstractmethod
    async def submit(self, token: str, request: Facts, what: str) -> str:
        """The job of that token runs, or has ended; its handle is returned.

        Asked again with the same token, it starts nothing and returns the same job's handle.
        """

    @abstractmethod
    async def look(self, token: str, handle: str) -> Look:
        """Where the job stands now.

        A failure to look raises nothing: it is a look with `trouble`. Raises Paused when no later look can
        do better before the user acts, for example because credentials have expired.
        """

    @abstractmethod
    def detached(self, token: str, handle: str) -> str:
        """How to stop a job that is left running, as one command."""


@dataclass(frozen=True)
class Polling:
    """How jobs are waited for."""

    clock: Clock
    poll_seconds: float = 0.0
    """Seconds between two looks; 0 leaves it to the driver."""
    detach: bool = False
    """Whether to leave a job that is still running, instead of waiting for it."""


class Jobs:
    """Runs one step's jobs to their end, through any number of restarts."""

    def __init__(
        self,
        book: JobBook,
        key: str,
        what: str,
        *,
        polling: Polling,
        forced: bool,
        detached: Callable[[str], None],
    ) -> None:
        """`forced`: a job that has already ended is not adopted; one that still runs is.

        `detached` is told how to stop a job that is left running.
        """
        self.detached = detached
        self.book = book
        self.key = key
        self.what = what
        self.polling = polling
        self.forced = forced

    async def finish(self, driver: Driver, request: Facts, seen: Callable[[Look], None]) -> JobRow:
        """The completed job for this request: adopted if one exists, else started and awaited.

        Raises StepFailed with the job's own message when it failed, Detached when it is left on its way.
        """
        job = await self.started(driver, request)
        try:
            look = await self._awaited(driver, job, seen)
        except asyncio.CancelledError:
            self.detached(driver.detached(job.token, job.handle))
            raise
        job = self.book.record(msgspec.structs.replace(job, state=look.state, message=look.message))
        if job.state is JobState.COMPLETED:
            return job
        raise StepFailed(look.message or f"the job {job.token} ended without a result")

    async def started(self, driver: Driver, request: Facts) -> JobRow:
        """A job that is submitted or completed, with its handle recorded; at most one is ever started."""
        job = await self._current(driver, request)
        if job.state is JobState.INTENDED:
            handle = await driver.submit(job.token, job.request, self.what)
            job = self.book.record(msgspec.structs.replace(job, state=JobState.SUBMITTED, handle=handle))
        return job

    async def _current(self, driver: Driver, request: Facts) -> JobRow:
        last = self.book.latest(self.key)
        if last is None:
            return self._intent(request, attempt=1)
        if last.state in (JobState.SUBMITTED, JobState.COMPLETED):
            look = await driver.look(last.token, last.handle)
            last = self.book.record(msgspec.structs.replace(last, state=look.state, message=look.message))
        # A new attempt gets a new token, because services return the old job for a token they know.
        spent = last.state in (JobState.FAILED, JobState.LOST)
        if spent or (self.forced and last.state is JobState.COMPLETED):
            return self._intent(request, attempt=last.attempt + 1)
        return last

    def _intent(self, request: Facts, attempt: int) -> JobRow:
        return self.book.record(
            JobRow(
                token=f"{self.key[:32]}-{attempt}",
                key=self.key,
                attempt=attempt,
                state=JobState.INTENDED,
                step=self.what,
                request=request,
            )
        )

    async def _awaited(self, driver: Driver, job: JobRow, seen: Callable[[Look], None]) -> Look:
        pause, longest = driver.pauses
        troubles = 0
        while True:
            look = await driver.look(job.token, job.handle)
            seen(look)
            if look.state.final:
                return look
            if self.polling.detach and not look.trouble:
                raise Detached(
                    f"{job.handle} is still running. Stop it: {driver.detached(job.token, job.handle)}"
                )
            troubles = troubles + 1 if look.trouble else 0
            await self.polling.clock.sleep(_longer(self.polling.poll_seconds or pause, troubles))
            # Most jobs take hours: looking less often costs nothing, and services throttle their list calls.
            pause = min(longest, pause * slower)


def _longer(pause: float, troubles: int) -> float:
    """The pause after so many failed looks in a row: doubled for each, up to five minutes."""
    return min(pause * 2.0**troubles, max(pause, longest_after_trouble_seconds)) if troubles else pause
