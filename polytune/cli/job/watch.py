"""`polytune job watch`: looks at one job until it ends, through hours of failing calls if need be."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import click
import msgspec

from polytune.cli import _platforms as platforms
from polytune.cli import options
from polytune.cli._platforms import PlatformChoice
from polytune.cli.job.status import curve_lines, job_json, lines, status_words
from polytune.engine.clock import clock_at
from polytune.errors import UsageError
from polytune.platforms.management import JobObservation, Management, Watching, find_among

usual_interval_seconds = 30.0
quiet_looks = 20
"""After so many looks without news, one line says that the job is still watched."""


@click.command("watch")
@click.argument("job", metavar="ID_OR_NAME")
@click.option(
    "--interval",
    type=click.FloatRange(min=0, min_open=True),
    default=usual_interval_seconds,
    show_default=True,
    help="Seconds between two looks; longer after failed ones.",
)
@platforms.platform_options
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    /,
    job: str,
    interval: float,
    choice: PlatformChoice,
    as_json: bool,
) -> None:
    """Look at a job until it ends, and draw its loss curve if it has one.

    The job may be anybody's. A look that fails, whatever the cause, is reported and repeated. Exits with 0 if
    the job completed, with 1 if it did not. --json prints one object a look.
    """
    asked = choice.owners(job)
    watching: Watching[Management] = Watching(clock_at(asked[0].settings.clock_url), interval)
    last = asyncio.run(_watch(watching, asked, job, as_json=as_json))
    if last.gone:
        raise UsageError(f"{last.job.name} does not exist any more")
    ctx.exit(0 if last.job.succeeded else 1)


async def _watch(
    watching: Watching[Management], asked: Sequence[Management], name: str, *, as_json: bool
) -> JobObservation:
    def tell(failure: str, pause: float) -> None:
        click.echo(f"could not look for {name}: {failure} Next look in {pause:g} s", err=True)

    home, job = await watching.found(
        lambda: find_among(asked, lambda each: each.find_job(name, once=True)), tell
    )
    log = WatchLog(home)
    async for observation in watching.observations(home, job):
        if as_json:
            trouble = {"trouble": observation.trouble} if observation.trouble else {}
            click.echo(msgspec.json.encode(job_json(observation.job, observation.curves) | trouble))
        else:
            log.add(observation)
        last = observation
    return last


@dataclass
class WatchLog:
    """Prints what is new since the last observation."""

    home: Management
    last_text: str = ""
    quiet: int = 0
    points: int = 0

    def add(self, observation: JobObservation) -> None:
        """One line for a change or a failed look; the chart when it has more points, the rest at the end."""
        self._line(observation)
        points = sum(len(curve.points) for curve in observation.curves.curves)
        if points != self.points:
            self.points = points
            click.echo("\n".join(curve_lines(observation.curves, sys.stdout.encoding)))
        if observation.job.final and not observation.trouble:
            click.echo("\n".join(lines(self.home, observation.job)))

    def _line(self, observation: JobObservation) -> None:
        text = "gone" if observation.gone else status_words(observation.job)
        if observation.trouble:
            text = f"could not look: {observation.trouble} Next look in {observation.next_look_seconds:g} s"
        self.quiet = 0 if text != self.last_text else self.quiet + 1
        if self.quiet % quiet_looks == 0:
            click.echo(f"[{datetime.now(UTC):%H:%M:%SZ}] {text}")
        self.last_text = text
