"""`polytune job list`: lists the jobs of every platform, or those in the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import click
import msgspec

from polytune.cli import _platforms as platforms
from polytune.cli import options
from polytune.cli._platforms import PlatformChoice
from polytune.cli._table import moment, table
from polytune.cli.job.status import job_json, status_words
from polytune.engine.jobbook import JobBook, JobRow, JobState
from polytune.errors import ExitCode, PolytuneError, Unavailable, UsageError, did_you_mean
from polytune.platforms.management import ManagedJob, Management

long_ago = datetime(1970, 1, 1, tzinfo=UTC)
"""Sorts jobs without a creation time last."""


@click.command("list")
@click.option("--ledger", "--local", "ledger_only", is_flag=True, help="What the ledger knows; asks nobody.")
@click.option("--status", metavar="STATUS", help="Only jobs of this status, such as InProgress or Failed.")
@click.option("--all", "everything", is_flag=True, help="Every job, not only polytune's.")
@platforms.platform_options
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    /,
    ledger_only: bool,
    status: str | None,
    everything: bool,
    choice: PlatformChoice,
    as_json: bool,
) -> None:
    """List training, import and batch jobs of every platform, latest first.

    polytune's own jobs are recognized by the end of their names, and by the ledger. A platform that cannot be
    queried is reported on standard error; if it is set up here, the exit code is 1.
    """
    opened = choice.opened()
    if ledger_only:
        if everything or choice.region or choice.platform:
            raise UsageError("--ledger asks no platform; it goes with none of --all, --platform, --region")
        _ledger(JobBook(opened.ledger).all_jobs(), _checked(status, [*map(str, JobState)]), as_json)
        return
    asked = choice.managements(opened)
    wanted = _checked(status, list(dict.fromkeys(each for one in asked for each in one.statuses)))
    listed, silent, failed = _listed(asked)
    found = [each for each in listed if wanted in ("", each.status.lower())]
    shown = [each for each in found if everything or each.own]
    shown.sort(key=lambda each: each.created or long_ago, reverse=True)
    _show(shown, silent, as_json)
    if not as_json and len(found) > len(shown):
        click.echo(f"{len(found) - len(shown)} more are not polytune's: --all lists them", err=True)
    ctx.exit(ExitCode.FAILED if failed else ExitCode.DONE)


def _listed(asked: Sequence[Management]) -> tuple[list[ManagedJob], list[str], bool]:
    """Every job, the platforms that did not answer, and whether one of them is set up here."""
    found: list[ManagedJob] = []
    silent: list[str] = []
    failed = False
    for each in asked:
        try:
            listing = each.jobs()
        except PolytuneError as failure:
            # One platform without credentials must not hide the jobs of the others.
            if len(asked) == 1 or isinstance(failure, UsageError):
                raise
            click.echo(f"{each.name} could not be asked: {failure}", err=True)
            failed |= not isinstance(failure, Unavailable)
            silent.append(each.name)
            continue
        found += listing.jobs
        for gap in listing.gaps:
            click.echo(gap, err=True)
    return found, silent, failed


def _show(jobs: Sequence[ManagedJob], silent: Sequence[str], as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode([job_json(each) for each in jobs]))
        return
    rows = [[each.name, each.kind, status_words(each), moment(each.created), each.id] for each in jobs]
    # A platform that did not answer may have jobs.
    none = f"no jobs known; not asked: {', '.join(silent)}" if silent else "no jobs"
    click.echo("\n".join(table(rows)) or none, err=not rows)


def _ledger(jobs: Sequence[JobRow], wanted: str, as_json: bool) -> None:
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
    """The status in lower case; '' for any status. Raises UsageError for a status that no job can have."""
    if status is None:
        return ""
    # A misspelt status would list nothing, which looks as if there were no such jobs.
    if status.lower() not in (each.lower() for each in known):
        nearest = did_you_mean(status, list(known)) or f" One of: {', '.join(known)}."
        raise UsageError(f"--status {status}: no job has this status.{nearest}")
    return status.lower()
