"""`polytune grader build KIND`: builds what a grader needs on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from polytune.graders.interface import GRADERS
from polytune.settings import load_settings


@click.group("grader")
def command() -> None:
    """Build a grader's local dependencies."""


@command.command("build")
@click.argument("kind")
@click.option("--force", is_flag=True, help="Rebuild it even if it is up to date.")
def build(kind: str, force: bool) -> None:
    """Build the local dependencies of a KIND of grader, unless they are up to date.

    `strudel` downloads the @strudel packages (AGPL-3.0-or-later) with npm and bundles them into one file in
    the cache folder, which takes about ten seconds.
    """
    grader = GRADERS.load(kind)
    if not grader.needs_building:
        click.echo(f"{kind} has nothing to build")
        return
    cache = load_settings(Path.cwd()).cache_folder
    path = None if force else grader.built(cache)
    if path is None:
        click.echo(f"building what {kind} needs ...", err=True)
        path = grader.build(cache)
    click.echo(path)
