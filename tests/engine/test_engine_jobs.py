"""The job protocol against a place that counts what it is asked: one job, whatever dies and when."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

import pytest

from polytune.engine.artifacts import Facts
from polytune.engine.clock import RealClock
from polytune.engine.jobbook import JobBook, JobRow, JobState
from polytune.engine.jobs import Driver, Jobs, Look, Polling
from polytune.engine.ledger import Ledger
from polytune.errors import StepFailed
from tests.messages import matching

key = "a1" * 32
request: Facts = {"base": "tiny", "epochs": 2}
moments = ("asked", "accepted", "first look", "last look", "told")


class Died(Exception):
    """The program ended here."""


class Cloud(Driver):
    """A place where jobs run: the same token is the same job; it can end the program at a moment."""

    def __init__(self, *ends: JobState, looks: int = 2) -> None:
        """`ends` is how each new job in turn ends, after that many looks; the last stands for the rest."""
        self.ends = ends or (JobState.COMPLETED,)
        self.looks = looks
        self.jobs: dict[str, Iterator[int]] = {}
        self.asked: list[tuple[str, Facts]] = []
        self.die_at = ""

    async def submit(self, token: str, request: Facts, what: str) -> str:
        """The job of that token is known; its handle is its place in the queue."""
        self._maybe_die("asked")
        self.asked.append((token, request))
        self.jobs.setdefault(token, count(1))
        self._maybe_die("accepted")
        return f"handle-{list(self.jobs).index(token)}"

    async def look(self, token: str, handle: str) -> Look:
        """Running, until it was looked at often enough."""
        number = list(self.jobs).index(token)
        looked = next(self.jobs[token])
        self._maybe_die("first look" if looked == 1 else "last look")
        assert handle == f"handle-{number}"
        if looked < self.looks:
            return Look(state=JobState.SUBMITTED, done=looked / self.looks, message="at work")
        end = self.ends[min(number, len(self.ends) - 1)]
        return Look(state=end, message=f"{end} for a reason", done=1.0)

    def detached(self, token: str, handle: str) -> str:
        """How to stop it."""
        return f"cloud stop {handle}"

    def _maybe_die(self, moment: str) -> None:
        if self.die_at == moment:
            self.die_at = ""
            raise Died(moment)


class Office:
    """One program after another working on the same step."""

    def __init__(self, ledger: Ledger, cloud: Cloud) -> None:
        self.ledger = ledger
        self.cloud = cloud
        self.seen: list[float] = []
        self.stops: list[str] = []

    def jobs(self, *, forced: bool = False) -> Jobs:
        """What a program that has just started would use."""
        return Jobs(
            JobBook(self.ledger),
            key,
            "x/1 train",
            polling=Polling(RealClock(), 0.001),
            forced=forced,
            detached=self.stops.append,
        )

    def finish(self, *, forced: bool = False) -> JobRow:
        """The job, to its end."""
        return asyncio.run(self.jobs(forced=forced).finish(self.cloud, request, self._saw))

    def row(self) -> JobRow:
        """What the ledger says of the latest job."""
        found = JobBook(self.ledger).latest(key)
        assert found is not None
        return found

    def _saw(self, look: Look) -> None:
        if self.cloud.die_at == "told" and look.state.final:
            self.cloud.die_at = ""
            raise Died("told")
        self.seen.append(look.done)


@pytest.fixture
def cloud() -> Cloud:
    """A place whose jobs complete."""
    return Cloud()


@pytest.fixture
def office(ledger: Ledger, cloud: Cloud) -> Office:
    """A ledger and that place."""
    return Office(ledger, cloud)


def test_a_job_goes_from_intent_to_completed(office: Office) -> None:
    """It is submitted once, with the request and a token made of key and attempt; progress is told."""
    job = office.finish()

    assert office.cloud.asked == [(f"{key[:32]}-1", request)]
    assert (job.state, job.attempt, job.handle) == (JobState.COMPLETED, 1, "handle-0")
    assert office.row() == job
    assert office.seen == [0.5, 1.0]


def test_the_intent_is_durable_before_anything_is_asked(office: Office) -> None:
    """A program that dies on its way to the place leaves the row with token and request behind."""
    office.cloud.die_at = "asked"

    with pytest.raises(Died, match="asked"):
        office.finish()

    assert office.cloud.asked == []
    assert (office.row().state, office.row().request) == (JobState.INTENDED, request)
    assert [job.token for job in JobBook(office.ledger).open_jobs()] == [f"{key[:32]}-1"]


@pytest.mark.parametrize("first", moments)
@pytest.mark.parametrize("second", ["", *moments])
def test_a_program_that_dies_anywhere_leaves_one_job(office: Office, first: str, second: str) -> None:
    """After one death or two, at any moments, a restart finishes the one job there ever was."""
    for moment in filter(None, (first, second)):
        office.cloud.die_at = moment
        with suppress(Died):
            office.finish()
    assert office.cloud.die_at == "" or second
    office.cloud.die_at = ""

    job = office.finish()

    assert list(office.cloud.jobs) == [f"{key[:32]}-1"]
    assert (job.state, job.handle, job.attempt) == (JobState.COMPLETED, "handle-0", 1)
    assert JobBook(office.ledger).open_jobs() == []


def test_a_completed_job_is_not_bought_again(office: Office) -> None:
    """A second program finds the completed job."""
    first = office.finish()

    second = office.finish()

    assert (second.token, second.handle) == (first.token, first.handle)
    assert len(office.cloud.asked) == 1


def test_a_forced_run_buys_a_completed_job_again(office: Office) -> None:
    """`--force` sets a finished job aside: a new attempt under a new token."""
    office.finish()

    again = office.finish(forced=True)

    assert again.attempt == 2
    assert list(office.cloud.jobs) == [f"{key[:32]}-1", f"{key[:32]}-2"]


@pytest.mark.parametrize("moment", ["accepted", "first look"])
def test_a_forced_run_adopts_a_job_that_still_runs(ledger: Ledger, moment: str) -> None:
    """`--force` does not buy a second job beside one that is still running."""
    office = Office(ledger, Cloud(looks=5))
    office.cloud.die_at = moment
    with pytest.raises(Died, match=moment):
        office.finish(forced=True)

    job = office.finish(forced=True)

    assert job.attempt == 1
    assert list(office.cloud.jobs) == [f"{key[:32]}-1"]


@pytest.mark.parametrize("end", [JobState.FAILED, JobState.LOST])
def test_a_job_that_ends_badly_fails_the_step_and_is_tried_anew_next_time(
    ledger: Ledger, end: JobState
) -> None:
    """The step fails with the job's own words; the next run starts a new attempt."""
    office = Office(ledger, Cloud(end, JobState.COMPLETED))

    with pytest.raises(StepFailed, match=f"{end} for a reason"):
        office.finish()
    assert office.row().state is end
    job = office.finish()

    assert (job.attempt, job.state) == (2, JobState.COMPLETED)
    assert list(office.cloud.jobs) == [f"{key[:32]}-1", f"{key[:32]}-2"]


@pytest.mark.parametrize("end", [JobState.FAILED, JobState.LOST])
def test_a_job_that_ended_badly_while_nobody_looked_is_tried_anew(ledger: Ledger, end: JobState) -> None:
    """A restart that finds its job failed or lost starts the next attempt at once."""
    office = Office(ledger, Cloud(end, JobState.COMPLETED, looks=1))
    office.cloud.die_at = "first look"
    with pytest.raises(Died, match="first look"):
        office.finish()

    job = office.finish()

    assert (job.attempt, job.state) == (2, JobState.COMPLETED)


def test_a_silent_end_still_has_a_sentence(ledger: Ledger) -> None:
    """A job that gives no reason is named by its token."""

    class Silent(Cloud):
        async def look(self, token: str, handle: str) -> Look:
            return Look(state=JobState.LOST)

    with pytest.raises(
        StepFailed, match="^" + matching("engine/job-ended-without-result", key=key[:32]) + "$"
    ):
        Office(ledger, Silent()).finish()


def test_being_cancelled_leaves_the_job_and_says_how_to_stop_it(ledger: Ledger) -> None:
    """Ctrl-C detaches: the row stays `submitted`, the command is told, and a restart adopts the job."""
    office = Office(ledger, Cloud(looks=50))

    async def interrupted() -> None:
        work = asyncio.create_task(office.jobs().finish(office.cloud, request, lambda look: None))
        await asyncio.sleep(0.01)
        work.cancel()
        await work

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(interrupted())

    assert office.stops == ["cloud stop handle-0"]
    assert office.row().state is JobState.SUBMITTED
    assert office.finish().attempt == 1
    assert len(office.cloud.asked) == 1


def test_a_lost_ledger_row_finds_the_same_job_by_its_token(office: Office) -> None:
    """The token follows from the key, so a ledger that forgot the job asks for the same one."""
    office.cloud.die_at = "first look"
    with pytest.raises(Died, match="first look"):
        office.finish()
    with office.ledger.transaction() as connection:
        connection.execute("DELETE FROM jobs")

    office.finish()

    assert list(office.cloud.jobs) == [f"{key[:32]}-1"]


def test_steps_with_different_keys_have_different_jobs(office: Office) -> None:
    """Another key is another job, under another token."""
    office.finish()
    other = Jobs(
        JobBook(office.ledger),
        "b2" * 32,
        "x/1 other",
        polling=Polling(RealClock(), 0.001),
        forced=False,
        detached=lambda s: None,
    )

    asyncio.run(other.finish(office.cloud, request, lambda look: None))

    assert len(office.cloud.jobs) == 2
