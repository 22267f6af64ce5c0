"""`polytune ls`: lists the runs of this workspace, latest first."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from polytune.cli import options
from polytune.engine.ledger import RunRow
from polytune.wiring import OpenWorkspace


@click.command("ls")
@click.argument("experiment", required=False)
@click.option("-n", "limit", type=int, default=20, show_default=True, help="Show at most this many runs.")
@options.workspace
@options.rehearsal
@options.as_json
def command(
    experiment: str | None, limit: int, workspace: Path | None, rehearsal: bool, as_json: bool
) -> None:
    """List the runs of one EXPERIMENT or of all, latest first."""
    opened = OpenWorkspace.open(None, workspace, rehearsal=rehearsal)
    rows = opened.runs(experiment)[:limit]
    mark = "   rehearsal" if rehearsal else ""
    if as_json:
        click.echo(
            msgspec.json.encode([{**msgspec.to_builtins(r), "live": bool(opened.live(r))} for r in rows])
        )
        return
    for row in rows:
        click.echo(f"{row.run_id}   {status_of(opened, row):<12}{row.experiment}{mark}")
    if not rows:
        click.echo("no runs yet. Start one with `polytune run FILE`", err=True)


def status_of(opened: OpenWorkspace, row: RunRow) -> str:
    """The run's status; `interrupted` when it is recorded as running but no process runs it."""
    # A killed process cannot record its end: only its lock, which the system frees, shows that it is gone.
    if row.status == "running" and not opened.live(row):
        return "interrupted"
    return row.status
