"""`polytune undeploy`: deletes a deployment and keeps its model."""

from __future__ import annotations

import click
import msgspec

from polytune.cli import _platforms as platforms
from polytune.cli import options
from polytune.cli._platforms import PlatformChoice
from polytune.platforms.management import find_among


@click.command("undeploy")
@click.argument("deployment", metavar="ID_OR_NAME")
@platforms.yes_option
@platforms.platform_options
@options.as_json
def command(
    deployment: str,
    yes: bool,
    choice: PlatformChoice,
    as_json: bool,
) -> None:
    """Delete a deployment or provisioned throughput; its model is kept and can be deployed again."""
    asked = choice.owners(deployment)
    home, found = find_among(asked, lambda each: each.find_deployment(deployment))
    # Checked before asking, so that users never confirm a deletion that the platform then refuses.
    home.check_removable(found)
    platforms.agreed(f"Delete {found.name} ({found.id})? Requests to it will fail.", yes)
    home.undeploy(found)
    click.echo(
        msgspec.json.encode({"deleted": found.id})
        if as_json
        else f"{found.name} is deleted; its model {found.model} stays, and its storage is billed"
    )
