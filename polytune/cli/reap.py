"""`polytune reap`: lists deployments and orphans; `--yes` deletes deployments with an expired lease."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from polytune.cli import _platforms as platforms
from polytune.cli import options
from polytune.cli._platforms import PlatformChoice
from polytune.cli._table import table
from polytune.engine.clock import clock_at
from polytune.errors import ExitCode, PolytuneError, Unavailable
from polytune.platforms.management import LeasedDeployment, Management


@click.command("reap")
@click.option("--yes", is_flag=True, help="Tear down; without it, only say what would go.")
@click.option("--dry-run", is_flag=True, help="Only say what would go: the default, and stronger than --yes.")
@platforms.platform_options
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    /,
    yes: bool,
    dry_run: bool,
    choice: PlatformChoice,
    as_json: bool,
) -> None:
    """Delete deployments with an expired lease: older than their `ttl`, or without requests for `idle_after`.

    Reads the leases from the deployments' tags, so it works on any machine, and ignores deployments without
    polytune's tags. Also lists orphans: deployments made by a run that is not in this workspace. Exits with 1
    when a deployment could not be deleted, or a platform that is set up here could not be queried.
    """
    asked = choice.managements()
    found, failed = _found(asked)
    # Applications that still call a deleted deployment fail, so nothing is deleted without --yes.
    applied = yes and not dry_run
    outcomes = {each.job.id: _torn_down(home, each) for home, each in found if applied and each.due}
    leased = [each for _, each in found]
    if as_json:
        click.echo(msgspec.json.encode(_as_json(leased, outcomes, applied=applied)))
    else:
        click.echo("\n".join(_lines(leased, outcomes, applied=applied)))
    ctx.exit(ExitCode.FAILED if failed or any(outcomes.values()) else ExitCode.DONE)


def _found(asked: Sequence[Management]) -> tuple[list[tuple[Management, LeasedDeployment]], bool]:
    """Every deployment with its platform, and whether a platform that is set up here could not be queried."""
    # The clock, not the system time: in a rehearsal, leases expire in the emulator's time.
    now = datetime.fromtimestamp(asyncio.run(clock_at(asked[0].settings.clock_url).now()), UTC)
    found, failed = [], False
    for each in asked:
        try:
            found += [(each, leased) for leased in each.deployments(now)]
        except PolytuneError as failure:
            # One platform without credentials must not hide the deployments of the others, which cost money.
            if len(asked) == 1:
                raise
            click.echo(f"{each.name} could not be asked: {failure}", err=True)
            failed |= not isinstance(failure, Unavailable)
    return found, failed


def _torn_down(home: Management, leased: LeasedDeployment) -> str:
    """Delete a deployment; returns why that failed, or ''."""
    try:
        home.undeploy(leased.job)
    except PolytuneError as failure:
        return str(failure)
    return ""


def _lines(found: Sequence[LeasedDeployment], outcomes: dict[str, str], *, applied: bool) -> Iterator[str]:
    yield from table([[_verb(each, outcomes), *_cells(each)] for each in found])
    for identifier, failure in outcomes.items():
        if failure:
            yield f"{identifier}: {failure}"
    due = [each for each in found if each.due]
    if not found:
        yield "no deployment here carries polytune's tags"
    elif not due:
        yield "nothing to tear down"
    elif not applied:
        yield f"{len(due)} would be torn down; nothing was. Tear down: polytune reap --yes"


def _verb(leased: LeasedDeployment, outcomes: dict[str, str]) -> str:
    if leased.due:
        left = outcomes.get(leased.job.id)
        return "due" if left is None else "FAILED" if left else "torn down"
    return str(leased.state)


def _cells(leased: LeasedDeployment) -> list[str]:
    orphan = "orphan: no run here refers to it" if leased.orphan else ""
    made = " ".join(filter(None, (leased.tags.get("experiment"), leased.tags.get("step"))))
    return [leased.job.name, leased.job.kind, leased.why, made, orphan, leased.job.id]


def _as_json(found: Sequence[LeasedDeployment], outcomes: dict[str, str], *, applied: bool) -> dict[str, Any]:
    return {
        "applied": applied,
        "deployments": [
            platforms.with_arn(
                {
                    "platform": each.job.platform,
                    "id": each.job.id,
                    "name": each.job.name,
                    "kind": each.job.kind,
                    "state": each.state,
                    "why": each.why,
                    "due": each.due,
                    "orphan": each.orphan,
                    "tags": each.tags,
                    "torn_down": outcomes.get(each.job.id) == "",
                    "failure": outcomes.get(each.job.id, ""),
                }
            )
            for each in found
        ],
    }
