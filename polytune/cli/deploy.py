"""`polytune deploy MODEL`: deploys a custom model, optionally for a limited time."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from polytune.cli import _platforms as platforms
from polytune.cli import options
from polytune.cli._platforms import PlatformChoice
from polytune.cli.job.status import job_json
from polytune.engine.clock import clock_at
from polytune.errors import ExitCode, UsageError
from polytune.platforms.management import DeploymentRequest, ManagedJob, Management, Watching, find_among

look_every_seconds = 10.0
"""The polling interval while waiting for a deployment."""
duration = re.compile(r"[1-9][0-9]*[mhd]")
seconds_per_unit = {"m": 60, "h": 3600, "d": 86_400}


def _seconds(ctx: click.Context, option: click.Parameter, text: str | None) -> int:
    if text is None:
        return 0
    if not duration.fullmatch(text):
        raise UsageError(
            f"--{(option.name or '').replace('_', '-')} {text}: write minutes, hours or days: 7d"
        )
    return int(text[:-1]) * seconds_per_unit[text[-1]]


@click.command("deploy")
@click.argument("model", metavar="ID_OR_NAME")
@click.option("--name", default="", metavar="NAME", help="Of the deployment. Default: the model's own.")
@click.option(
    "--kind",
    type=click.Choice(["on_demand", "provisioned"]),
    default="on_demand",
    show_default=True,
    help="Billed by the token, or by the hour.",
)
@click.option("--units", type=click.IntRange(min=1), default=1, help="Model units, when provisioned.")
@click.option(
    "--commitment",
    type=click.Choice(["none", "one_month", "six_months"]),
    default="none",
    help="A term, when provisioned; it cannot be ended early.",
)
@click.option("--ttl", callback=_seconds, metavar="7d", help="How long it may live; `polytune reap` ends it.")
@click.option(
    "--idle-after", callback=_seconds, metavar="2h", help="How long it may stay unasked until reap ends it."
)
@click.option("--no-wait", is_flag=True, help="Do not wait until it answers.")
@platforms.yes_option
@platforms.platform_options
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    /,
    model: str,
    no_wait: bool,
    as_json: bool,
    choice: PlatformChoice,
    **flags: Any,
) -> None:
    """Deploy a custom model.

    An existing deployment of that name is reused, and updated if it serves another model. Provisioned
    throughput is billed until it is deleted: its price is shown and must be confirmed.
    """
    asked = choice.owners(model)
    request = DeploymentRequest(
        model=model,
        kind=flags["kind"],
        name=flags["name"],
        units=flags["units"],
        commitment=flags["commitment"],
        ttl_seconds=flags["ttl"],
        idle_seconds=flags["idle_after"],
    )
    home, plan = find_among(asked, lambda each: each.plan_deployment(request))
    if plan.notice:
        click.echo(plan.notice, err=True)
    # Planning changes nothing in the account, so the price can be confirmed before anything is created.
    if plan.question:
        platforms.agreed(plan.question, flags["yes"])
    # Leases count from now, on the emulator's clock in a rehearsal.
    clock = clock_at(home.settings.clock_url)
    job = home.deploy(plan, datetime.fromtimestamp(asyncio.run(clock.now()), UTC))
    if not no_wait:
        job = asyncio.run(_awaited(home, job, Watching(clock, look_every_seconds)))
    if as_json:
        click.echo(msgspec.json.encode(job_json(job)))
    else:
        click.echo(f"{job.name}   {job.kind}   {job.status}   {job.id}")
        if why := home.why(job):
            click.echo(why, err=True)
    ctx.exit(ExitCode.FAILED if job.failed else ExitCode.DONE)


async def _awaited(home: Management, job: ManagedJob, watching: Watching[Management]) -> ManagedJob:
    """Wait until the deployment answers or has failed, and return it. Raises UsageError if it disappears."""
    shown = ""
    async for observation in watching.observations(home, job):
        text = observation.trouble or observation.job.status
        if text != shown:
            click.echo(f"{observation.job.name}: {text}", err=True)
        shown, job = text, observation.job
        if observation.gone:
            raise UsageError(f"{job.name} does not exist any more")
    return job
