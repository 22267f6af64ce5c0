"""`polytune grader build KIND`: what a grader needs is on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from polytune.lazy import part
from polytune.settings import load_settings

builders = {"strudel": "strudel.bundle"}
"""Grader kind -> the module whose `build_bundle` makes what it needs; other kinds need nothing."""


@click.group("grader")
def command() -> None:
    """Build what a grader needs on this machine."""


@command.command("build")
@click.argument("kind")
def build(kind: str) -> None:
    """Build what graders of a KIND need.

    `strudel` fetches the @strudel packages (AGPL-3.0-or-later) with npm and bundles them into one file in
    the cache folder; it takes about ten seconds.
    """
    part("graders.interface").GRADERS.load(kind)
    if kind not in builders:
        click.echo(f"{kind} needs no building")
        return
    click.echo(f"building what {kind} needs ...", err=True)
    click.echo(part(builders[kind]).build_bundle(load_settings(Path.cwd()).cache_folder))
