"""`polytune model delete`: deletes a custom or imported model that is not in use."""

from __future__ import annotations

import click
import msgspec

from polytune.cli import _platforms as platforms
from polytune.cli import options
from polytune.cli._platforms import PlatformChoice
from polytune.platforms.management import find_among


@click.command("delete")
@click.argument("model", metavar="ID_OR_NAME")
@platforms.yes_option
@platforms.platform_options
@options.as_json
def command(model: str, yes: bool, choice: PlatformChoice, as_json: bool) -> None:
    """Delete a custom or imported model. This cannot be undone.

    A model that a deployment uses is not deleted.
    """
    asked = choice.owners(model)
    home, found = find_among(asked, lambda each: each.find_model(model))
    # Checked before asking, so that users never confirm a deletion that the platform then refuses.
    home.check_unused(found)
    platforms.agreed(f"Delete {found.name} ({found.id})? Training it again costs the same again.", yes)
    home.delete_model(found)
    click.echo(msgspec.json.encode({"deleted": found.id}) if as_json else f"{found.name} is deleted")
