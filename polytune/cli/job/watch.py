"""`polytune job watch`: polls one job until it ends, even through hours of failing calls."""

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
from polytune.errors import ExitCode, UsageError
from polytune.platforms.management import JobObservation, Management, Watching, find_among

usual_interval_seconds = 30.0
quiet_looks = 20
"""After this many polls without news, a line shows that the job is still being watched."""


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
    """Poll a job until it ends, and draw its loss curve if it has one.

    The job need not be polytune's. A failed poll is reported and repeated, regardless of the cause. Exits
    with 0 if the job completed, and with 1 if it did not. --json prints one object per poll.
    """
    asked = choice.owners(job)
    watching: Watching[Management] = Watching(clock_at(asked[0].settings.clock_url), interval)
    last = asyncio.run(_watch(watching, asked, job, as_json=as_json))
    if last.gone:
        raise UsageError(f"{last.job.name} does not exist any more")
    ctx.exit(ExitCode.DONE if last.job.succeeded else ExitCode.FAILED)


async def _watch(
    watching: Watching[Management], asked: Sequence[Management], name: str, *, as_json: bool
) -> JobObservation:
    def tell(failure: str, pause: float) -> None:
        click.echo(f"could not look for {name}: {failure} Next look in {pause:g} s", err=True)

    # `once`: the watch itself is the retry, and reports each failed attempt.
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
        """Print a line for a change or a failed poll, the chart if it has new points, details at the end."""
        self._line(observation)
        # A chart takes ten lines, so it is drawn only when it would look different.
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
