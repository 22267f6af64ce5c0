"""`polytune grader build KIND`: what a grader needs is on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from polytune.graders.interface import GRADERS
from polytune.settings import load_settings
from polytune.strudel import bundle

builders = {"strudel": bundle}
"""Grader kind -> the module whose `bundle_in` and `build_bundle` find and make what it needs."""


@click.group("grader")
def command() -> None:
    """Build what a grader needs on this machine."""


@command.command("build")
@click.argument("kind")
@click.option("--force", is_flag=True, help="Build it anew.")
def build(kind: str, force: bool) -> None:
    """Build what graders of a KIND need, unless it is there already.

    `strudel` fetches the @strudel packages (AGPL-3.0-or-later) with npm and bundles them into one file in
    the cache folder; it takes about ten seconds.
    """
    GRADERS.load(kind)
    if kind not in builders:
        click.echo(f"{kind} needs no building")
        return
    builder, cache = builders[kind], load_settings(Path.cwd()).cache_folder
    there = None if force else builder.bundle_in(cache)
    if there is not None:
        click.echo(there.path)
        return
    click.echo(f"building what {kind} needs ...", err=True)
    click.echo(builder.build_bundle(cache))
