"""`polytune deploy MODEL`: a custom model answers, for a limited time if one is given."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from polytune.cli import _account as account
from polytune.cli import options
from polytune.engine.clock import clock_at
from polytune.errors import UsageError
from polytune.lazy import part
from polytune.settings import Settings

look_every_seconds = 10.0
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
@click.argument("model", metavar="ARN_OR_NAME")
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
@account.yes_option
@account.region_option
@options.workspace
@options.as_json
@click.pass_context
def command(ctx: click.Context, /, model: str, no_wait: bool, as_json: bool, **said: Any) -> None:
    """Deploy a custom model of the account.

    A deployment of that name is used again: it is given the model if it serves another one. Provisioned
    throughput is billed until it is deleted: its price is shown and must be agreed to.
    """
    settings = account.settings_of(said["workspace"])
    access = account.access_to(settings, account.region_of(settings, said["region"], model))
    inventory = part("platforms.bedrock.resources").Inventory(access)
    deploying = part("platforms.bedrock.deploy")
    found = part("platforms.bedrock.models").Models(inventory, settings).find(model)
    wish = deploying.Wish(
        model=found,
        kind=said["kind"],
        name=said["name"],
        units=said["units"],
        commitment=said["commitment"],
        ttl_seconds=said["ttl"],
        idle_seconds=said["idle_after"],
    )
    if problem := wish.problem():
        raise UsageError(problem)
    deployer = deploying.Deployer(inventory)
    existing = deployer.existing(wish)
    _agree(wish, existing, access, settings, yes=said["yes"])
    now = datetime.fromtimestamp(asyncio.run(clock_at(settings.clock_url).now()), UTC)
    remote = deployer.deploy(wish, existing, now)
    if not no_wait:
        remote = asyncio.run(_awaited(remote, said["workspace"], access.region))
    if as_json:
        click.echo(msgspec.json.encode(remote))
    else:
        click.echo(f"{remote.name}   {remote.kind}   {remote.status}   {remote.arn}")
        if remote.message:
            click.echo(part("platforms.bedrock.failures").explained(remote.message), err=True)
    ctx.exit(1 if remote.ended_badly else 0)


def _agree(wish: Any, existing: Any, access: Any, settings: Settings, *, yes: bool) -> None:
    """What costs money, or changes what applications get, has been agreed to."""
    if existing is not None and existing.model != wish.model.arn:
        account.agreed(f"{existing.name} serves {existing.model}. Put {wish.model.name} behind it?", yes)
    if existing is None and wish.kind == "provisioned":
        entry = part("platforms.bedrock.models").entry_of(wish.model.base)
        live = part("aws.pricing").live_prices(access, entry.offering.price_family) if entry else {}
        price = part("platforms.bedrock.deploy").price_words(wish, settings, live)
        click.echo(
            f"{wish.units} model unit{'s' * (wish.units != 1)} of {wish.model.name}: {price}", err=True
        )
        account.agreed("Buy it?", yes)


async def _awaited(remote: Any, workspace: Path | None, region: str) -> Any:
    """The deployment when it answers, or has failed."""

    def open_access() -> Any:
        return account.access_to(account.settings_of(workspace), region)

    clock = clock_at(account.settings_of(workspace).clock_url)
    watching = part("platforms.bedrock.watch").Watching(open_access, clock, look_every_seconds)
    status = ""
    async for sight in watching.sights(remote):
        told = sight.trouble or sight.remote.status
        if told != status:
            click.echo(f"{sight.remote.name}: {told}", err=True)
        status, remote = told, sight.remote
        if sight.gone:
            raise UsageError(f"{remote.name} does not exist any more")
    return remote
