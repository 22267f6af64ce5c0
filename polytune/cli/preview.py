"""`polytune preview FILE`: a handful of samples through the whole path, before anything large is paid for.

    the plan's first samples --generate--> --format--> --validate--> shown side by side

They are the first samples of the plan, which is spread over its cells from the start, so the run that
follows finds their answers in memory. No run is left behind.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import msgspec

from polytune.cli import options
from polytune.cli._bench import Bench
from polytune.cli._previewed import Previewed, preview_json, preview_lines, previewed
from polytune.cli.plan import price_text
from polytune.cli.run import consent, open_workspace, refuse_blocked, refuse_unready
from polytune.engine.compiled import Compiled, CompiledStep
from polytune.engine.selection import Flags, before
from polytune.errors import UsageError
from polytune.prompts.coverage import Coverage
from polytune.steps.generate import Generate
from polytune.wiring import OpenWorkspace

fewest, most = 1, 20
longest_walk = 200_000
"""Samples of a plan that is walked through to show what it covers; about a second."""
asking_kind = "generate"
previewed_types = ("Samples", "Dataset", "CheckedDataset")
"""What may be made for a look: nothing of it leaves this machine but questions to a teacher."""


@click.command("preview")
@options.experiment_file
@click.option("-n", "--samples", type=click.IntRange(fewest, most), default=5, help="How many. Default: 5.")
@options.overrides
@options.variant
@click.option("--yes", is_flag=True, help="Do not ask before spending.")
@click.option("--max-usd", type=float, help="Stop before the preview spends more.")
@click.option("--rehearse", is_flag=True, help="Ask stand-ins on this machine, at no cost.")
@options.workspace
@options.as_json
@click.pass_context
def command(ctx: click.Context, /, file: Path, workspace: Path | None, **flags: Any) -> None:
    """Take a few samples through generate, format and validate, and show them.

    The answers are remembered, so a later run does not pay for them again. Exits with 1 when a row has an
    error.
    """
    with open_workspace(file, workspace, creating=file.is_file(), rehearse=flags["rehearse"]) as opened:
        shown = [
            _previewed(opened, file, whole, flags)
            for whole in options.variants(opened, file, flags["overrides"], flags["variant"])
        ]
    if flags["as_json"]:
        click.echo(msgspec.json.encode([preview_json(each) for each in shown], order="deterministic"))
    else:
        click.echo("\n\n".join("\n".join(preview_lines(each)) for each in shown))
    ctx.exit(1 if any(each.errors for each in shown) else 0)


def _previewed(opened: OpenWorkspace, file: Path, whole: Compiled, flags: dict[str, Any]) -> Previewed:
    """One experiment's preview. Raises what its steps raise."""
    small = _small(opened, file, whole, flags)
    steps = _path(small)
    planner = opened.planner(small, options.selected(small, Flags(until=steps[-1].id)))
    plan = planner.plan(small)
    refuse_blocked(plan)
    refuse_unready(opened, plan)
    allowed = consent(plan, {} if plan.idle else opened.estimates(plan), opened, flags)
    with TemporaryDirectory(prefix="polytune-preview-") as folder:
        bench = Bench(opened, small, Path(folder).resolve(), allowed)
        made = asyncio.run(bench.work(steps))
        return previewed(whole, made, _rest(opened, whole), _covered(opened, whole))


def _small(opened: OpenWorkspace, file: Path, whole: Compiled, flags: dict[str, Any]) -> Compiled:
    """The same experiment, asked for a few samples."""
    asking = [step for step in whole.steps if step.kind == asking_kind]
    if not asking:
        raise UsageError(f"{whole.name}: no {asking_kind} step, so there is nothing to ask for a preview")
    changes = list(flags["overrides"])
    for step in asking:
        changes.append(f"steps.{step.id}.count={min(flags['samples'], step.spec['count'])}")
        if step.spec.get("graders"):
            changes.append(f"steps.{step.id}.shortfall=0.99")
    return next(each for each in opened.compile(file, changes) if each.name == whole.name)


def _path(compiled: Compiled) -> list[CompiledStep]:
    """The steps from the first question to the first checked dataset, or as far as there are any."""
    for wanted in reversed(previewed_types):
        for step in compiled.steps:
            needed = before(compiled, step.id)
            found = [each for each in compiled.steps if each.id in needed]
            asks = any(each.kind == asking_kind for each in found)
            if step.produces == wanted and asks and all(each.produces in previewed_types for each in found):
                return found
    raise AssertionError("a generate step produces samples")


def _covered(opened: OpenWorkspace, whole: Compiled) -> Coverage | None:
    """What the whole plan covers of its matrix."""
    asking = next(step for step in whole.steps if step.kind == asking_kind)
    if asking.spec["count"] > longest_walk:
        return None
    generate = opened.step_factory(whole).step(asking)
    assert isinstance(generate, Generate)
    return generate.planned_coverage()


def _rest(opened: OpenWorkspace, whole: Compiled) -> str:
    """What the whole run still costs, in words."""
    plan = opened.planner(whole, options.selected(whole, Flags())).plan(whole)
    found = opened.estimates(plan)
    words = []
    for step in whole.steps:
        estimate = found.get(step.id)
        if step.kind == asking_kind and estimate is not None:
            price = price_text(estimate.usd_low, estimate.usd_high) or "price unknown"
            counts = f"{estimate.reused or 0:,} answers reused, {estimate.requests or 0:,} to ask"
            words.append(f"{counts}, {price}")
    return "; ".join(words)
