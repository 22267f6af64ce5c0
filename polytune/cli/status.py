"""`polytune status [RUN]`: shows a run's status, the process that runs it, and the status of each step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from polytune.cli import options
from polytune.cli.ls import status_of
from polytune.cli.outcome import rehearsal_mark
from polytune.engine.jobbook import JobBook
from polytune.engine.manifest import StepStatus
from polytune.wiring import OpenWorkspace


@click.command("status")
@click.argument("run", required=False)
@options.workspace
@options.rehearsal
@options.as_json
def command(run: str | None, workspace: Path | None, rehearsal: bool, as_json: bool) -> None:
    """Show the status of a RUN: an id, an experiment, or the latest run."""
    opened = OpenWorkspace.open(None, workspace, rehearsal=rehearsal)
    row = opened.run(run) if run is not None else opened.latest_run()
    manifest = opened.manifest(row)
    steps = {name: str(manifest.steps[name].status) for name in manifest.order}
    # The job book is shared by all runs; a job's step begins with its experiment and run.
    jobs = [
        job
        for job in JobBook(opened.ledger).open_jobs()
        if job.step.startswith(f"{row.experiment}/{row.run_id} ")
    ]
    found: dict[str, Any] = {
        "run_id": row.run_id,
        "experiment": row.experiment,
        # Not `row.status` alone: a killed process leaves it at running.
        "status": status_of(opened, row),
        "worked_on_by": opened.live(row),
        "steps": steps,
        "jobs": [{"token": job.token, "step": job.step.split()[-1], "handle": job.handle} for job in jobs],
    }
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    click.echo(f"{row.experiment}   {found['status']}   run {row.run_id}{rehearsal_mark(manifest)}")
    if found["worked_on_by"]:
        click.echo(f"in use by {found['worked_on_by']}")
    for name, status in steps.items():
        message = manifest.steps[name].message
        click.echo(f"  {name:<10} {status:<8} {message}".rstrip())
    for job in found["jobs"]:
        click.echo(f"  job of {job['step']}: {job['token']} ({job['handle']})")
    if found["status"] in ("interrupted", "stopped", "failed", "paused", "waiting"):
        click.echo(f"to continue, run: polytune resume {row.run_id}{' --rehearse' if rehearsal else ''}")
    elif any(status == StepStatus.SKIPPED for status in steps.values()):
        click.echo(f"some steps were not selected; to run the rest: polytune run {manifest.path}")
