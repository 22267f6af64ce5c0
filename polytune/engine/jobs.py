"""Long work outside this process, paid for once: intent, submit, record, poll, collect.

    intent     the row with the token is durable before anything is requested
    submit     the driver is called; the same token always means the same job
    record     the handle is made durable right after
    poll       any process may poll; a failed look says nothing about the job
    collect    the caller reads the outputs of a completed job

A token is the step's key and the number of the attempt, so a restart finds its job and never starts a second
one. A driver handles one kind of place where jobs run: child processes on this machine, or a cloud service.
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
"""Factor by which each pause is longer than the one before, up to the driver's maximum."""
# Five minutes: long enough to be harmless during an outage, short enough to notice its end.
longest_after_trouble_seconds = 300.0


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """The result of looking at a job once."""

    state: JobState
    message: str = ""
    """Why the job failed, or what it is doing."""
    done: float = 0.0
    """Progress from 0 to 1, if the job reports it."""
    trouble: bool = False
    """Whether the look itself failed, which says nothing about the job; `message` says how."""


class Driver(ABC):
    """One kind of place where jobs run."""

    pauses: ClassVar[tuple[float, float]] = (1.0, 1.0)
    """Seconds between two looks: initially, and at most."""

    @abstractmethod
    async def submit(self, token: str, request: Facts, what: str) -> str:
        """Start the job with that token, or find it running or ended; return its handle.

        A second call with the same token starts nothing and returns the same job's handle.
        """

    @abstractmethod
    async def look(self, token: str, handle: str) -> Look:
        """Return the job's current state.

        A failure to look does not raise; it returns a look with `trouble`. Raises Paused when no later look
        can succeed before the user acts, for example because credentials have expired.
        """

    @abstractmethod
    def detached(self, token: str, handle: str) -> str:
        """Return the command that stops a job that is left running."""


@dataclass(frozen=True)
class Polling:
    """How to wait for jobs."""

    clock: Clock
    poll_seconds: float = 0.0
    """Seconds between two looks; 0 uses the driver's own."""
    detach: bool = False
    """Whether to leave a running job instead of waiting for it."""


class Jobs:
    """Runs the jobs of one step to their end, across any number of restarts."""

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
        """`forced`: a job that has already ended is not adopted; one that is still running is.

        `detached` is called with the command that stops a job that is left running.
        """
        self.detached = detached
        self.book = book
        self.key = key
        self.what = what
        self.polling = polling
        self.forced = forced

    async def finish(self, driver: Driver, request: Facts, seen: Callable[[Look], None]) -> JobRow:
        """Return the completed job for this request: adopt an existing one, or start one, and wait for it.

        Raises StepFailed with the job's own message when it failed, Detached when it is left running.
        """
        job = await self.started(driver, request)
        try:
            look = await self._awaited(driver, job, seen)
        except asyncio.CancelledError:
            # Ctrl-C does not stop the job: it is paid for, and `resume` finds it again by its token.
            self.detached(driver.detached(job.token, job.handle))
            raise
        job = self.book.record(msgspec.structs.replace(job, state=look.state, message=look.message))
        if job.state is JobState.COMPLETED:
            return job
        raise StepFailed(look.message or f"the job {job.token} ended without a result")

    async def started(self, driver: Driver, request: Facts) -> JobRow:
        """Return a job that is submitted or completed, with its handle recorded. Starts one at most."""
        job = await self._current(driver, request)
        if job.state is JobState.INTENDED:
            # Also after a crash between submit and record: the driver returns the same job
            # for the same token.
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
        # A new attempt needs a new token: services return the old job for a token they know.
        spent = last.state in (JobState.FAILED, JobState.LOST)
        if spent or (self.forced and last.state is JobState.COMPLETED):
            return self._intent(request, attempt=last.attempt + 1)
        return last

    def _intent(self, request: Facts, attempt: int) -> JobRow:
        return self.book.record(
            JobRow(
                # 128 bits of the key are unique enough, and fit the length limits of
                # services' tokens and names.
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
            # After a failed look nobody knows whether the job runs, so look again before leaving it.
            if self.polling.detach and not look.trouble:
                raise Detached(
                    f"{job.handle} is still running. Stop it: {driver.detached(job.token, job.handle)}"
                )
            troubles = troubles + 1 if look.trouble else 0
            await self.polling.clock.sleep(_longer(self.polling.poll_seconds or pause, troubles))
            # Most jobs take hours. Polling less often loses nothing, and services throttle these calls.
            pause = min(longest, pause * slower)


def _longer(pause: float, troubles: int) -> float:
    """Return the pause after `troubles` failed looks in a row: doubled for each, up to five minutes."""
    return min(pause * 2.0**troubles, max(pause, longest_after_trouble_seconds)) if troubles else pause
