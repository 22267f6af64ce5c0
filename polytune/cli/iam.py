"""`polytune iam FILE`: prints the minimal trust and permission policies for one experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from polytune.cli import _platforms as platforms
from polytune.cli import options
from polytune.errors import UsageError
from polytune.wiring import OpenWorkspace

formats = ("json", "terraform", "cloudformation")


@click.command("iam")
@options.experiment_file
@click.option("--format", "form", type=click.Choice(formats), default="json", show_default=True)
@click.option(
    "--account", default="", metavar="ID", help="12 digits. Default: the role's account, else the caller's."
)
@platforms.platform_option
@options.overrides
@options.variant
@options.workspace
@options.as_json
def command(file: Path, form: str, account: str, as_json: bool, **given: Any) -> None:
    """Print the policies for an experiment: the service role's trust and permissions, and your permissions.

    They cover only this experiment's buckets and prefixes, keys, network, graders and models. --json is the
    same as --format json.
    """
    if as_json and form != "json":
        raise UsageError("--json is --format json; give one of them")
    opened = OpenWorkspace.open(file, given["workspace"])
    asked = platforms.PlatformChoice(given["platform"]).managements(opened)
    for compiled in options.variants(opened, file, given["overrides"], given["variant"]):
        used = platforms.uses(opened, compiled)
        for each in asked:
            if each.name in used and (text := each.policies(used[each.name], form, account)) is not None:
                click.echo(text, nl=False)
                return
    raise UsageError(f"{file}: no step works on a platform that needs rights in an account")
