"""`polytune job watch`: looks at one job until it ends, through hours of failing calls if need be."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from polytune.aws.access import Access
from polytune.aws.failures import AwsFailure
from polytune.cli import _account as account
from polytune.cli import options
from polytune.cli.job import _text as words
from polytune.engine.clock import clock_at
from polytune.errors import UsageError
from polytune.platforms.bedrock.resources import Inventory, Remote
from polytune.platforms.bedrock.watch import Sight, Watching, longer

usual_interval_seconds = 30.0
quiet_looks = 20
"""After so many looks without news, one line says that the job is still watched."""


@click.command("watch")
@click.argument("job", metavar="ARN_OR_NAME")
@click.option(
    "--interval",
    type=click.FloatRange(min=0, min_open=True),
    default=usual_interval_seconds,
    show_default=True,
    help="Seconds between two looks; longer after failed ones.",
)
@account.region_option
@options.workspace
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    job: str,
    interval: float,
    region: str | None,
    workspace: Path | None,
    as_json: bool,
) -> None:
    """Look at a job until it ends; draws its loss curve when there is one.

    The job may be anybody's. Failed looks, whatever their cause, are told and repeated. Exits with 0 when
    the job has completed, with 1 when it has not. --json prints one object a look.
    """
    settings = account.settings_of(workspace)
    handle = words.handle_of(job, workspace)
    asked = account.region_of(settings, region, handle)

    def open_access() -> Access:
        found: Access = account.access_to(account.settings_of(workspace), asked)
        return found

    watching = Watching(open_access, clock_at(settings.clock_url), interval)
    last = asyncio.run(_watch(watching, handle, as_json=as_json))
    if last.gone:
        raise UsageError(f"{last.remote.name} does not exist any more")
    ctx.exit(0 if last.remote.succeeded else 1)


async def _found(watching: Watching, name: str) -> Remote:
    """The job of that name, through failures that pass by themselves; others end the command at once."""
    troubles = 0
    while True:
        try:
            return await asyncio.to_thread(Inventory(watching.open_access(), attempts=1).find, name)
        except AwsFailure as failure:
            if not failure.transient:
                raise
            troubles += 1
            pause = longer(watching.pause_seconds, troubles)
            click.echo(f"could not look for {name}: {failure} Next look in {pause:g} s", err=True)
            await watching.clock.sleep(pause)


async def _watch(watching: Watching, name: str, *, as_json: bool) -> Sight:
    remote = await _found(watching, name)
    told = Story()
    async for sight in watching.sights(remote):
        if as_json:
            trouble = {"trouble": sight.trouble} if sight.trouble else {}
            click.echo(msgspec.json.encode(words.as_json(sight.remote, sight.curves) | trouble))
        else:
            told.tell(sight)
        last = sight
    return last


@dataclass
class Story:
    """Tells what is new since it was last told something."""

    said: str = ""
    quiet: int = 0
    points: int = field(default=0)

    def tell(self, sight: Sight) -> None:
        """One line for a change or a failed look; the chart when it has more points, the rest at the end."""
        self._line(sight)
        points = sum(len(curve.points) for curve in sight.curves.curves)
        if points != self.points:
            self.points = points
            click.echo("\n".join(words.curve_lines(sight.curves, sys.stdout.encoding)))
        if sight.remote.final and not sight.trouble:
            click.echo("\n".join(words.lines(sight.remote)))

    def _line(self, sight: Sight) -> None:
        text = words.status_words(sight.remote)
        if sight.gone:
            text = "gone"
        if sight.trouble:
            text = f"could not look: {sight.trouble} Next look in {sight.next_look_seconds:g} s"
        self.quiet = 0 if text != self.said else self.quiet + 1
        if self.quiet % quiet_looks == 0:
            click.echo(f"[{datetime.now(UTC):%H:%M:%SZ}] {text}")
        self.said = text
