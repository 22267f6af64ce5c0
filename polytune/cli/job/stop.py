"""`polytune job stop`: stops a job after showing what that costs."""

from __future__ import annotations

import click
import msgspec

from polytune.cli import _platforms as platforms
from polytune.cli import options
from polytune.cli._platforms import PlatformChoice
from polytune.cli.job.status import job_json, status_words
from polytune.platforms.management import find_among


@click.command("stop")
@click.argument("job", metavar="ID_OR_NAME")
@platforms.yes_option
@platforms.platform_options
@options.as_json
def command(job: str, yes: bool, choice: PlatformChoice, as_json: bool) -> None:
    """Stop a training or batch job; the work done so far is billed."""
    asked = choice.owners(job)
    home, found = find_among(asked, lambda each: each.find_job(job))
    cost = home.cost_of_stopping(found)
    platforms.agreed(f"Stop {found.name} ({status_words(found)})? {cost[0].upper()}{cost[1:]}.", yes)
    after = home.stop(found)
    if as_json:
        click.echo(msgspec.json.encode(job_json(after)))
    else:
        click.echo(f"{after.name}   {after.status}   {cost}")
