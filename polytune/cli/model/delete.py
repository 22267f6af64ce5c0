"""`polytune model delete`: a custom or imported model is gone, unless something uses it."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from polytune.cli import _account as account
from polytune.cli import options
from polytune.platforms.bedrock.models import Models
from polytune.platforms.bedrock.resources import Inventory


@click.command("delete")
@click.argument("model", metavar="ARN_OR_NAME")
@account.yes_option
@account.region_option
@options.workspace
@options.as_json
def command(model: str, yes: bool, region: str | None, workspace: Path | None, as_json: bool) -> None:
    """Delete a custom or imported model, which cannot be undone.

    A model that a deployment uses is not deleted.
    """
    settings = account.settings_of(workspace)
    access = account.access_to(settings, account.region_of(settings, region, model))
    models = Models(Inventory(access), settings)
    found = models.find(model)
    models.check_unused(found)
    account.agreed(f"Delete {found.name} ({found.arn}) for ever? Training it again is paid again.", yes)
    models.delete(found)
    click.echo(msgspec.json.encode({"deleted": found.arn}) if as_json else f"{found.name} is deleted")
