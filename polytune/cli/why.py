"""`polytune why FILE STEP`: explains a step's state, its key, and every difference from an earlier record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from polytune.cli import options
from polytune.engine.artifacts import leaves
from polytune.engine.plan import PlannedStep
from polytune.engine.selection import Selection, select
from polytune.wiring import OpenWorkspace


@click.command("why")
@options.experiment_file
@click.argument("step")
@options.overrides
@options.variant
@options.workspace
@options.rehearsal
@options.as_json
def command(
    file: Path,
    step: str,
    overrides: tuple[str, ...],
    variant: str | None,
    workspace: Path | None,
    **flags: bool,
) -> None:
    """Explain one step: its cache key, and what changed since the closest earlier run."""
    opened = OpenWorkspace.open(file, workspace, rehearsal=flags["rehearsal"])
    for compiled in options.variants(opened, file, overrides, variant):
        # Called for its error, which names the closest step.
        select(compiled, only=step)
        planned = opened.planner(compiled, Selection()).plan(compiled).step(step)
        if flags["as_json"]:
            click.echo(msgspec.json.encode(_as_json(planned)))
        else:
            click.echo("\n".join(_lines(compiled.name, planned)))


def _lines(experiment: str, planned: PlannedStep) -> Iterator[str]:
    yield f"{experiment}: {planned.step.id}   {planned.state}   {'; '.join(planned.because)}".rstrip()
    if planned.against:
        yield f"compared with {planned.against}"
    for each in planned.differences:
        place = planned.step.origins.get(each.path.partition(".")[2], "")
        yield f"  {each.path}: {each.old} -> {each.new}   {place}".rstrip()
    if planned.record is None:
        yield "its key is unknown until its inputs exist"
        return
    yield f"key {planned.record.key}"
    for path, value in leaves(msgspec.to_builtins(planned.record)):
        group, _, name = path.partition(".")
        # Defaults are shown, since people look for them, and set apart, since no key holds them.
        yield f"  {'(default) ' + name if group == 'defaults' else path:<28} {value}"


def _as_json(planned: PlannedStep) -> dict[str, object]:
    return {
        "step": planned.step.id,
        "state": planned.state,
        "because": planned.because,
        "against": planned.against,
        "differences": planned.differences,
        "record": planned.record,
        "key": planned.record.key if planned.record else None,
    }
