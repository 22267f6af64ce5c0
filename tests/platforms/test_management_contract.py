"""The contract of `Management`, over every platform that has one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from polytune.engine.clock import RealClock
from polytune.errors import UsageError
from polytune.platforms.interface import PLATFORMS
from polytune.platforms.management import (
    MANAGEMENTS,
    DeploymentRequest,
    JobObservation,
    ManagedJob,
    Management,
    Watching,
    find_among,
)
from tests.platforms.managed import Example, example_of

unknown = "no-such-thing-anywhere"


@pytest.fixture(params=MANAGEMENTS.names())
def example(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Example]:
    """Each platform in turn; one without an example fails here."""
    with example_of(request.param, tmp_path) as made:
        yield made


def test_a_management_belongs_to_a_platform() -> None:
    """Its name is its folder's, which is the name in YAML."""
    assert set(MANAGEMENTS.names()) <= set(PLATFORMS.names())
    assert "management" not in PLATFORMS.names()
    for name in MANAGEMENTS.names():
        assert MANAGEMENTS.load(name).name == PLATFORMS.load(name).name == name


def test_an_identifier_has_one_owner(example: Example) -> None:
    """A job's id is its platform's and nobody else's; a plain name is nobody's."""
    home = example.management
    others = [
        MANAGEMENTS.load(name)(home.workspace, home.settings, home.ledger, "")
        for name in MANAGEMENTS.names()
        if name != home.name
    ]
    job = example.start()

    assert home.owns(job)
    assert not any(other.owns(job) for other in others)
    assert not any(each.owns(unknown) for each in (home, *others))


def test_a_job_is_listed_and_found_as_it_is(example: Example) -> None:
    """By its id and by its name, with a status that the platform declares; and as JSON."""
    job = example.start()

    (listed,) = (each for each in example.management.jobs().jobs if each.id == job)
    found = [example.management.find_job(name) for name in (job, listed.name)]

    assert [each.id for each in found] == [job, job]
    assert (listed.platform, listed.own) == (example.management.name, True)
    assert listed.status in example.management.statuses
    assert not listed.final
    assert msgspec.json.decode(msgspec.json.encode(listed), type=ManagedJob).id == job
    assert all(label and value for label, value in example.management.facts(found[0]))


def test_a_job_that_ends_well_has_succeeded(example: Example) -> None:
    """A later look shows it, with a curve; nothing is left to stop."""
    home = example.management
    before = home.find_job(example.start())
    example.finish(before.id)

    after = home.look(before)

    assert after is not None
    assert (after.final, after.succeeded, home.why(after)) == (True, True, "")
    assert after.status in home.statuses
    assert any(curve.points for curve in home.curves(after).curves)
    with pytest.raises(UsageError, match="nothing to stop"):
        home.cost_of_stopping(after)


def test_a_stopped_job_does_not_succeed(example: Example) -> None:
    """Stopping has a price in words; once stopped, a job cannot be stopped again."""
    home = example.management
    job = home.find_job(example.start())

    assert home.cost_of_stopping(job)
    after = home.stop(job)

    assert after.id == job.id
    assert not after.succeeded
    with pytest.raises(UsageError, match="nothing to stop"):
        home.cost_of_stopping(after)


def test_watching_ends_when_the_job_does(example: Example) -> None:
    """The last observation is of a job that has ended, and only that one is followed by no other."""
    home = example.management
    job = home.find_job(example.start())

    async def watched() -> list[JobObservation]:
        seen = []
        watching: Watching[Management] = Watching(RealClock(), 0.01)
        async for observation in watching.observations(home, job):
            seen.append(observation)
            if len(seen) == 1:
                await asyncio.to_thread(example.finish, job.id)
        return seen

    seen = asyncio.run(watched())

    assert [each.job.final for each in seen] == [False] * (len(seen) - 1) + [True]
    assert [each.trouble for each in seen] == [""] * len(seen)
    assert [bool(each.next_look_seconds) for each in seen] == [True] * (len(seen) - 1) + [False]


def test_what_is_not_there_is_said_for_every_kind_of_thing(example: Example) -> None:
    """Jobs, models, deployments: UsageError, so that another platform can be asked."""
    home = example.management
    request = DeploymentRequest(model=unknown, kind="on_demand")

    finds: tuple[Callable[[Management], object], ...] = (
        lambda each: each.find_job(unknown),
        lambda each: each.find_model(unknown),
        lambda each: each.find_deployment(unknown),
        lambda each: each.answering(unknown),
        lambda each: each.plan_deployment(request),
    )
    for find in finds:
        with pytest.raises(UsageError, match=unknown):
            find_among([home], find)


def test_every_check_says_what_was_found_and_how_to_fix_it(example: Example) -> None:
    """A problem has a fix, and nothing else has one."""
    checks = list(example.management.checks(None, {}))

    assert checks
    assert all(each.what and each.found for each in checks)
    assert all((each.state == "problem") == bool(each.fix) for each in checks)


def test_lists_of_an_empty_platform_are_empty(example: Example) -> None:
    """Models, jobs: nothing is made up."""
    home = example.management

    assert home.models() == []
    assert home.jobs().jobs == ()
    assert home.jobs().gaps == ()
