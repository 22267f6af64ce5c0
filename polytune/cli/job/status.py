"""`polytune job status`: one look at one job."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from polytune.aws.objects import Objects
from polytune.cli import _account as account
from polytune.cli import options
from polytune.cli.job import _text as words
from polytune.errors import PolytuneError
from polytune.platforms.bedrock.curves import Curves, read_curves
from polytune.platforms.bedrock.resources import Inventory, Remote, customization


@click.command("status")
@click.argument("job", metavar="ARN_OR_NAME")
@account.region_option
@options.workspace
@options.as_json
def command(job: str, region: str | None, workspace: Path | None, as_json: bool) -> None:
    """Show how a job stands: a customization, an import, a batch, or a deployment that is being made."""
    settings = account.settings_of(workspace)
    handle = words.handle_of(job, workspace)
    access = account.access_to(settings, account.region_of(settings, region, handle))
    remote = Inventory(access).find(handle)
    curves = _curves(Objects(access), remote)
    if as_json:
        click.echo(msgspec.json.encode(words.as_json(remote, curves)))
        return
    click.echo("\n".join(words.lines(remote)))
    drawn = words.curve_lines(curves, sys.stdout.encoding)
    if drawn:
        click.echo("\n".join(["", *drawn]))


def _curves(objects: Objects, remote: Remote) -> Curves:
    if remote.kind != customization.word:
        return Curves()
    try:
        return read_curves(objects, remote.details)
    except PolytuneError as failure:
        click.echo(f"the curves could not be read: {failure}", err=True)
        return Curves()
