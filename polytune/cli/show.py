"""`polytune show RUN [STEP]`: shows what a run did, or one step with its record, outputs and metrics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from polytune.cli import options
from polytune.cli.outcome import evaluation_lines, outcome_lines
from polytune.engine.artifacts import leaves
from polytune.engine.manifest import Manifest, StepReport
from polytune.errors import UsageError, did_you_mean
from polytune.wiring import OpenWorkspace

shown_files = 12


@click.command("show")
@click.argument("run")
@click.argument("step", required=False)
@options.workspace
@options.rehearsal
@options.as_json
def command(run: str, step: str | None, workspace: Path | None, rehearsal: bool, as_json: bool) -> None:
    """Show a RUN (an id or an experiment), or one of its STEPs."""
    opened = OpenWorkspace.open(None, workspace, rehearsal=rehearsal)
    manifest = opened.manifest(opened.run(run))
    if step is not None and step not in manifest.steps:
        raise UsageError(f"{manifest.run_id}: no step '{step}'.{did_you_mean(step, list(manifest.order))}")
    if as_json:
        click.echo(msgspec.json.encode(manifest.steps[step] if step else manifest, order="deterministic"))
    elif step is None:
        click.echo("\n".join(_run_lines(manifest)))
    else:
        click.echo("\n".join(step_lines(step, manifest.steps[step])))


def _run_lines(manifest: Manifest) -> Iterator[str]:
    # The last line of a finished run suggests this command.
    yield from outcome_lines(manifest)[:-1] if manifest.status == "done" else outcome_lines(manifest)
    yield ""
    git = f"{manifest.git.commit[:12]}{' with changes' if manifest.git.dirty else ''}" or "not in git"
    yield f"file       {manifest.path}   {git}"
    yield f"started    {manifest.started_at}   finished {manifest.finished_at or 'not yet'}"
    yield f"polytune   {manifest.polytune}, Python {manifest.python}, on {manifest.host}"


def step_lines(name: str, report: StepReport) -> Iterator[str]:
    """One step as text."""
    yield f"{name} ({report.kind})   {report.status}   {report.seconds:.1f} s   key {report.key[:16]}"
    if report.message:
        yield f"  {report.message}"
    yield from (f"  note: {note}" for note in report.notes)
    if report.because:
        yield f"  because {'; '.join(report.because)}"
    if report.record is not None:
        yield "  what was hashed"
        for path, value in leaves(msgspec.to_builtins(report.record)):
            yield f"    {path:<28} {value[:90]}"
    if report.output is not None:
        yield f"  output {report.output.type} {report.output_digest[:16]}"
        files = list(report.output.files.values())
        for entry in files[:shown_files]:
            records = f"   {entry.records:,} records" if entry.records is not None else ""
            yield f"    {entry.path}   {entry.bytes:,} bytes{records}   {entry.digest[:16]}"
        if len(files) > shown_files:
            yield f"    and {len(files) - shown_files} more"
    yield from _metrics(report)


def _metrics(report: StepReport) -> Iterator[str]:
    if report.kind == "evaluate" and report.metrics:
        yield from evaluation_lines(report.metrics)
        return
    for path, value in leaves(report.metrics):
        if path:
            yield f"  {path:<30} {value}"
