"""`polytune job list`: customization, import and batch jobs of the account, or what the ledger knows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from polytune.aws.failures import AwsFailure
from polytune.cli import _account as account
from polytune.cli import options
from polytune.cli._table import table
from polytune.cli.job import _text as words
from polytune.engine.jobbook import JobBook, JobRow, JobState
from polytune.errors import UsageError, did_you_mean
from polytune.platforms.bedrock.resources import Inventory, Kind, Remote, batch, customization, model_import
from polytune.wiring import Desk

remote_states = (
    "InProgress",
    "Completed",
    "Failed",
    "Stopping",
    "Stopped",
    "Submitted",
    "Validating",
    "Scheduled",
    "PartiallyCompleted",
    "Expired",
)
"""Of all three kinds, by the API's enums (botocore's `bedrock` model, 2023-04-20)."""
long_ago = datetime(1970, 1, 1, tzinfo=UTC)


@click.command("list")
@click.option("--local", is_flag=True, help="What the ledger knows; asks no network.")
@click.option("--status", metavar="STATUS", help="Only jobs of this status, such as InProgress or Failed.")
@click.option("--all", "everything", is_flag=True, help="Every job of the account, not only polytune's.")
@account.region_option
@options.workspace
@options.as_json
def command(
    local: bool,
    status: str | None,
    everything: bool,
    region: str | None,
    workspace: Path | None,
    as_json: bool,
) -> None:
    """List customization, import and batch jobs, latest first.

    polytune's own jobs are known by the end of their names, and by the ledger.
    """
    if local and (everything or region):
        raise UsageError("--local shows what the ledger knows; --all and --region ask the account")
    desk = Desk.open(None, workspace)
    if local:
        _local(_jobs(desk), _checked(status, [str(state) for state in JobState]), as_json)
        return
    wanted = _checked(status, remote_states)
    settings = desk.settings
    inventory = Inventory(account.access_to(settings, account.region_of(settings, region)))
    known = {job.handle for job in _jobs(desk)}
    found = [each for each in _found(inventory) if wanted in ("", each.status.lower())]
    shown = [each for each in found if everything or each.named_by_polytune or each.arn in known]
    shown.sort(key=lambda each: each.created or long_ago, reverse=True)
    if as_json:
        click.echo(msgspec.json.encode([words.as_json(each) for each in shown]))
        return
    rows = [
        [each.name, each.kind, words.status_words(each), words.moment(each.created), each.arn]
        for each in shown
    ]
    click.echo("\n".join(table(rows)) or "no jobs", err=not rows)
    if len(found) > len(shown):
        click.echo(f"{len(found) - len(shown)} more are not polytune's: --all lists them", err=True)


def _found(inventory: Inventory) -> list[Remote]:
    """Every job; a kind that may not be listed is said and left out, unless it is the first."""
    found = list(inventory.all(customization))
    for kind in (model_import, batch):
        found += _besides(inventory, kind)
    return found


def _besides(inventory: Inventory, kind: Kind) -> list[Remote]:
    try:
        return list(inventory.all(kind))
    except AwsFailure as failure:
        click.echo(f"{kind.word} jobs could not be listed: {failure}", err=True)
        return []


def _jobs(desk: Desk) -> list[JobRow]:
    return JobBook(desk.ledger).all_jobs()


def _local(jobs: Sequence[JobRow], wanted: str, as_json: bool) -> None:
    shown = [job for job in jobs if wanted in ("", str(job.state))]
    shown.sort(key=lambda job: job.changed_at, reverse=True)
    if as_json:
        click.echo(msgspec.json.encode(shown))
        return
    rows = [
        [job.step, str(job.state), job.changed_at, job.handle or "not submitted", job.message]
        for job in shown
    ]
    click.echo("\n".join(table(rows)) or "the ledger knows no such jobs", err=not rows)


def _checked(status: str | None, known: Sequence[str]) -> str:
    """The status in lower case; '' for any. Raises UsageError for one that no job can have."""
    if status is None:
        return ""
    if status.lower() not in (each.lower() for each in known):
        nearest = did_you_mean(status, list(known)) or f" One of: {', '.join(known)}."
        raise UsageError(f"--status {status}: no job has this status.{nearest}")
    return status.lower()
