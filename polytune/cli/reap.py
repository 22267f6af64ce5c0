"""`polytune reap`: deployments whose lease is over are torn down on `--yes`; orphans are listed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from polytune.cli import _account as account
from polytune.cli import options
from polytune.cli._table import table
from polytune.engine.clock import clock_at
from polytune.engine.jobbook import JobBook
from polytune.errors import PolytuneError
from polytune.lazy import part
from polytune.wiring import Desk


@click.command("reap")
@click.option("--yes", is_flag=True, help="Tear down; without it, only say what would go.")
@click.option("--dry-run", is_flag=True, help="Only say what would go: the default, and stronger than --yes.")
@account.region_option
@options.workspace
@options.as_json
@click.pass_context
def command(
    ctx: click.Context, yes: bool, dry_run: bool, region: str | None, workspace: Path | None, as_json: bool
) -> None:
    """Tear down deployments whose lease is over: past their `ttl`, or unasked for `idle_after`.

    Reads the leases from the deployments' tags, so it works on any machine, and looks at nothing that
    carries no tag of polytune's. Lists orphans: what a run made and no run of this workspace knows. Exits
    with 1 when something could not be torn down.
    """
    desk = Desk.open(None, workspace)
    settings = desk.settings
    access = account.access_to(settings, account.region_of(settings, region))
    inventory = part("platforms.bedrock.resources").Inventory(access)
    now = datetime.fromtimestamp(asyncio.run(clock_at(settings.clock_url).now()), UTC)
    found = part("platforms.bedrock.leases").Leases(inventory, now, _known(desk)).all()
    applied = yes and not dry_run
    outcomes = {each.remote.arn: _torn_down(inventory, each) for each in found if applied and each.due}
    if as_json:
        click.echo(msgspec.json.encode(_as_json(found, outcomes, applied=applied)))
    else:
        click.echo("\n".join(_lines(found, outcomes, applied=applied)))
    ctx.exit(1 if any(outcomes.values()) else 0)


def _known(desk: Desk) -> set[str]:
    """Every address that a run of the ledger refers to."""
    handles = {job.handle for job in JobBook(desk.ledger).all_jobs()}
    return handles | {uri for result in desk.ledger.results() for uri in result.resources.values()}


def _torn_down(inventory: Any, leased: Any) -> str:
    """Why it is still there; '' when it is gone."""
    try:
        part("platforms.bedrock.resources").check_removable(leased.remote)
        inventory.delete(leased.remote)
    except PolytuneError as failure:
        return str(failure)
    return ""


def _lines(found: Sequence[Any], outcomes: dict[str, str], *, applied: bool) -> Iterator[str]:
    yield from table([[_verb(each, outcomes), *_cells(each)] for each in found])
    for arn, failure in outcomes.items():
        if failure:
            yield f"{arn}: {failure}"
    due = [each for each in found if each.due]
    if not found:
        yield "no deployment here carries polytune's tags"
    elif not due:
        yield "nothing to tear down"
    elif not applied:
        yield f"{len(due)} would be torn down; nothing was. Tear down: polytune reap --yes"


def _verb(leased: Any, outcomes: dict[str, str]) -> str:
    if leased.due:
        left = outcomes.get(leased.remote.arn)
        return "due" if left is None else "FAILED" if left else "torn down"
    return str(leased.state)


def _cells(leased: Any) -> list[str]:
    orphan = "orphan: no run here refers to it" if leased.orphan else ""
    made = " ".join(filter(None, (leased.tags.get("experiment"), leased.tags.get("step"))))
    return [leased.remote.name, leased.remote.kind, leased.why, made, orphan, leased.remote.arn]


def _as_json(found: Sequence[Any], outcomes: dict[str, str], *, applied: bool) -> dict[str, Any]:
    return {
        "applied": applied,
        "deployments": [
            {
                "arn": each.remote.arn,
                "name": each.remote.name,
                "kind": each.remote.kind,
                "state": each.state,
                "why": each.why,
                "due": each.due,
                "orphan": each.orphan,
                "tags": each.tags,
                "torn_down": outcomes.get(each.remote.arn) == "",
                "failure": outcomes.get(each.remote.arn, ""),
            }
            for each in found
        ],
    }
