"""`polytune ledger`: creates and locates the ledger, checks it against the disk, or rebuilds it."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import click
import msgspec

from polytune.cli import options
from polytune.engine import rebuild as checking
from polytune.engine.ledger import Ledger
from polytune.engine.ownership import check_readable, claim
from polytune.engine.workspace import Workspace, find_workspace
from polytune.errors import ExitCode, UsageError
from polytune.settings import Settings, load_settings
from polytune.wiring import open_ledger

shown = 20


@click.group("ledger")
def command() -> None:
    """Create, check, rebuild or locate the ledger."""


@command.command("init")
@options.workspace
def init(workspace: Path | None) -> None:
    """Create the ledger unless it exists."""
    place, settings = _place(workspace)
    open_ledger(place, settings, creating=True).close()
    click.echo(place.ledger)


@command.command("path")
@options.workspace
def path(workspace: Path | None) -> None:
    """Print the path of the ledger, whether or not it exists."""
    # The path only, so that it can be used in scripts: `sqlite3 $(polytune ledger path)`.
    click.echo(find_workspace(None, workspace).ledger)


@command.command("verify")
@options.workspace
@options.as_json
@click.pass_context
def verify(ctx: click.Context, workspace: Path | None, as_json: bool) -> None:
    """Hash all outputs and stored contents again, and compare them with the ledger.

    Exits with 1 when something is missing or has changed.
    """
    place, settings = _place(workspace)
    with (
        closing(_existing(place, settings)) as ledger,
        click.progressbar(
            length=checking.bytes_to_verify(ledger),
            label="verifying",
            file=sys.stderr,
            hidden=not sys.stderr.isatty(),
        ) as bar,
    ):
        found = checking.verify(ledger, place, bar.update)
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        for finding in found.findings[:shown]:
            click.echo(finding)
        if len(found.findings) > shown:
            click.echo(f"and {len(found.findings) - shown} more: --json lists all")
        verdict = f"{len(found.findings)} problems" if found.findings else "sound"
        click.echo(f"{verdict}: {found.results:,} results, {found.files:,} files, {found.bytes:,} bytes")
    ctx.exit(ExitCode.FAILED if found.findings else ExitCode.DONE)


@command.command("rebuild")
@click.option("--force", is_flag=True, help="Rebuild even if the ledger is readable.")
@options.workspace
@options.as_json
def rebuild(force: bool, workspace: Path | None, as_json: bool) -> None:
    """Rebuild the ledger from the runs' manifests and the stored contents.

    The old file is kept next to the new one. Answers that exist only in the old file are copied as far as it
    can be read.
    """
    place, settings = _place(workspace)
    claim(place.runs, shared=settings.shared)
    made = checking.rebuild(place, force=force)
    for line in made.left_out[:shown]:
        click.echo(f"left out: {line}", err=True)
    if len(made.left_out) > shown:
        click.echo(f"left out: {len(made.left_out) - shown} more; --json lists all", err=True)
    if as_json:
        click.echo(msgspec.json.encode(made, enc_hook=str))
        return
    click.echo(f"{made.runs:,} runs, {made.results:,} results, {made.answers:,} answers: {place.ledger}")
    if made.old:
        click.echo(f"the old one: {made.old}")


def _place(override: Path | None) -> tuple[Workspace, Settings]:
    place = find_workspace(None, override)
    return place, load_settings(place.root)


def _existing(place: Workspace, settings: Settings) -> Ledger:
    check_readable(place.runs)
    # Opening would create an empty ledger, which verifies as sound.
    if not place.ledger.exists():
        raise UsageError(
            f"{place.ledger}: no ledger here. Create one with `polytune ledger rebuild` or"
            " `polytune run FILE`"
        )
    return open_ledger(place, settings)
