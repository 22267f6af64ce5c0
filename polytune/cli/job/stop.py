"""`polytune job stop`: ends a job, after saying what that costs."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from polytune.cli import _account as account
from polytune.cli import options
from polytune.cli.job import _text as words
from polytune.platforms.bedrock.resources import Inventory, check_stoppable


@click.command("stop")
@click.argument("job", metavar="ARN_OR_NAME")
@account.yes_option
@account.region_option
@options.workspace
@options.as_json
def command(job: str, yes: bool, region: str | None, workspace: Path | None, as_json: bool) -> None:
    """Stop a customization or batch job; what it has done so far is billed."""
    settings = account.settings_of(workspace)
    handle = words.handle_of(job, workspace)
    inventory = Inventory(account.access_to(settings, account.region_of(settings, region, handle)))
    remote = inventory.find(handle)
    check_stoppable(remote)
    billed = remote.what.billed
    account.agreed(
        f"Stop {remote.name} ({words.status_words(remote)})? {billed[0].upper()}{billed[1:]}.", yes
    )
    inventory.stop(remote)
    after = inventory.read(remote.what, remote.arn)
    if as_json:
        click.echo(msgspec.json.encode(words.as_json(after)))
    else:
        click.echo(f"{after.name}   {after.status}   {billed}")
