"""`polytune job status`: shows one job; also the rendering of jobs for the other commands."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import click
import msgspec

from polytune.cli import _platforms as platforms
from polytune.cli import options
from polytune.cli._chart import Series, chart
from polytune.cli._platforms import PlatformChoice
from polytune.cli._table import moment
from polytune.errors import PolytuneError
from polytune.platforms.management import Curves, ManagedJob, Management, find_among


@click.command("status")
@click.argument("job", metavar="ID_OR_NAME")
@platforms.platform_options
@options.as_json
def command(job: str, choice: PlatformChoice, as_json: bool) -> None:
    """Show the status of a job: training, an import, a batch, or a deployment that is being created."""
    asked = choice.owners(job)
    home, found = find_among(asked, lambda each: each.find_job(job))
    curves = _curves(home, found)
    if as_json:
        click.echo(msgspec.json.encode(job_json(found, curves)))
        return
    click.echo("\n".join(lines(home, found)))
    drawn = curve_lines(curves, sys.stdout.encoding)
    if drawn:
        click.echo("\n".join(["", *drawn]))


def _curves(home: Management, job: ManagedJob) -> Curves:
    # Curves are in the job's output bucket, which needs other permissions than the job itself.
    try:
        return home.curves(job)
    except PolytuneError as failure:
        click.echo(f"the curves could not be read: {failure}", err=True)
        return Curves()


def status_words(job: ManagedJob) -> str:
    """The status as `InProgress: validation Completed, training NotStarted`; stages only while it runs."""
    stages = ", ".join(f"{stage} {status}" for stage, status in job.stages.items())
    return f"{job.status}: {stages}" if stages and not job.final else job.status


def lines(home: Management, job: ManagedJob) -> Iterator[str]:
    """The details of a job, line by line."""
    yield f"{job.name}   {job.kind}   {job.status}"
    yield f"  {'id':<16}{job.id}"
    for stage, status in job.stages.items():
        yield f"  {stage:<16}{status}"
    ended = f"   ended {moment(job.ended)}" if job.ended else ""
    yield f"  {'created':<16}{moment(job.created)}{ended}"
    for label, value in home.facts(job):
        yield f"  {label:<16}{value}"
    if why := home.why(job):
        yield f"  {'why':<16}{why}"


def curve_lines(curves: Curves, encoding: str) -> list[str]:
    """The job's curves as a small chart; empty when there are none."""
    drawn = chart([Series(curve.name, curve.points) for curve in curves.curves], encoding)
    if drawn and curves.synthetic:
        drawn.append("  SYNTHETIC: an emulator made these figures up; no model was trained")
    return drawn


def job_json(job: ManagedJob, curves: Curves | None = None) -> dict[str, Any]:
    """The `--json` form of a job."""
    shown: dict[str, Any] = platforms.with_arn(msgspec.to_builtins(job))
    if curves is not None and curves.curves:
        shown["curves"] = {curve.name: [list(point) for point in curve.points] for curve in curves.curves}
        shown["synthetic"] = curves.synthetic
    return shown
