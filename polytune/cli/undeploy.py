"""`polytune undeploy`: a deployment is gone; its model stays."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from polytune.cli import _account as account
from polytune.cli import options
from polytune.lazy import part


@click.command("undeploy")
@click.argument("deployment", metavar="ARN_OR_NAME")
@account.yes_option
@account.region_option
@options.workspace
@options.as_json
def command(deployment: str, yes: bool, region: str | None, workspace: Path | None, as_json: bool) -> None:
    """Delete a deployment or provisioned throughput; its model stays, and can be deployed again."""
    settings = account.settings_of(workspace)
    access = account.access_to(settings, account.region_of(settings, region, deployment))
    shelf = part("platforms.bedrock.resources")
    inventory = shelf.Inventory(access)
    remote = inventory.find(deployment, shelf.deployment_kinds)
    shelf.check_removable(remote)
    account.agreed(f"Delete {remote.name} ({remote.arn})? What asks it will fail.", yes)
    inventory.delete(remote)
    click.echo(
        msgspec.json.encode({"deleted": remote.arn})
        if as_json
        else f"{remote.name} is deleted; its model {remote.model} stays, and its storage is billed"
    )
