"""`polytune plan FILE`: shows what a run would do, why, and what it would cost. Executes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from polytune.cli import options
from polytune.engine.plan import Plan, PlannedStep
from polytune.errors import ExitCode
from polytune.wiring import OpenWorkspace, up_to_date


@click.command("plan")
@options.experiment_file
@options.selection
@options.overrides
@options.variant
@options.workspace
@options.rehearsal
@click.option("--max-usd", type=float, help="Plan a run that may spend this at most.")
@click.option("--exit-code", is_flag=True, help="Exit with 10 when there is something to do.")
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    /,
    file: Path,
    overrides: tuple[str, ...],
    variant: str | None,
    workspace: Path | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Show what a run would do, why, and what it would cost.

    Exits with 3 when a step is blocked, and with 0 otherwise.
    """
    opened = OpenWorkspace.open(file, workspace, rehearsal=flags["rehearsal"])
    plans = []
    for compiled in options.variants(opened, file, overrides, variant):
        plan = opened.planner(compiled, options.selected(compiled, options.flags_of(flags))).plan(compiled)
        checked = opened.preflight(plan, flags["max_usd"])
        plans.append((checked.plan, checked.estimates))
    if as_json:
        click.echo(msgspec.json.encode([plan_json(plan, estimates) for plan, estimates in plans]))
    else:
        for plan, estimates in plans:
            if opened.workspace.rehearsal:
                click.echo("REHEARSAL: compared with rehearsals only; losses and answers there are synthetic")
            click.echo(
                "\n".join(plan_lines(plan, estimates, spent=opened.ledger.spent_usd(plan.compiled.name)))
            )
    if any(plan.blocked for plan, _ in plans):
        ctx.exit(ExitCode.BLOCKED)
    # With --only, the rest of the latest run does not matter: an idle step is enough.
    done = all(
        plan.idle and (up_to_date(plan, opened.latest(plan.compiled)) or flags["only"]) for plan, _ in plans
    )
    ctx.exit(ExitCode.TO_DO if flags["exit_code"] and not done else ExitCode.DONE)


def plan_lines(plan: Plan, estimates: Mapping[str, Any], spent: float) -> list[str]:
    """The plan as text: one line per step, more for several reasons."""
    rows = [row for step in plan.steps for row in _rows(step, estimates.get(step.step.id))]
    against = next((s.against for s in plan.steps if s.against), "")
    title = plan.compiled.name + (f"    compared with {against}" if against else "")
    return [title, "", *_table(rows), "", *_money(plan, estimates, spent), *_notes(plan)]


def _notes(plan: Plan) -> list[str]:
    """What to know of the steps, each note once, whichever step it is about."""
    notes = (note for planned in plan.steps for note in planned.step.notes)
    return [f"  note: {note}" for note in dict.fromkeys(notes)]


def _rows(planned: PlannedStep, estimate: Any) -> list[list[str]]:
    first, *more = planned.because or ("",)
    lines = [[planned.step.id, str(planned.state), first, *_costs(estimate)]]
    return lines + [["", "", reason, "", "", ""] for reason in more]


def _costs(estimate: Any) -> list[str]:
    if estimate is None:
        return ["", "", ""]
    return [_amount(estimate), price_text(estimate.usd_low, estimate.usd_high), estimate.note]


def _amount(estimate: Any) -> str:
    parts = []
    if estimate.reused:
        parts.append(f"{estimate.reused:,} answers reused")
    if estimate.requests is not None:
        parts.append(f"{estimate.requests:,} to ask")
    if estimate.tokens:
        parts.append(f"~{estimate.tokens:,} tokens")
    return ", ".join(parts)


def price_text(low: float | None, high: float | None) -> str:
    """The price range as `$2.90 - $3.60`; `$0` when it is free, '' when it is unknown."""
    if low is None or high is None:
        return ""
    return "$0" if high == 0 else f"${low:.2f} - ${high:.2f}"


def _table(rows: list[list[str]]) -> list[str]:
    """Columns as wide as their widest cell, at most 48 so that one long cell does not shift the others."""
    widths = (
        [min(48, max((len(row[c]) for row in rows), default=0)) for c in range(len(rows[0]))] if rows else []
    )
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append(("  " + "   ".join(cells)).rstrip())
    return lines


def _money(plan: Plan, estimates: Mapping[str, Any], spent: float) -> list[str]:
    if plan.idle:
        return ["  nothing to do"]
    # An unknown price is named, never added as 0.
    known = [e for e in estimates.values() if e.usd_high is not None]
    low, high = sum(e.usd_low for e in known), sum(e.usd_high for e in known)
    lines = [f"  this run {price_text(low, high)}{_unpriced(estimates)}"]
    budget = plan.compiled.budget.usd
    if budget is not None:
        lines.append(f"  budget ${budget:.2f}   spent on this experiment so far ${spent:.2f}")
    blocked = [planned.step.id for planned in plan.blocked]
    return [*lines, f"  blocked: {', '.join(blocked)}"] if blocked else lines


def _unpriced(estimates: Mapping[str, Any]) -> str:
    names = [name for name, e in estimates.items() if e.usd_high is None]
    return f", without {', '.join(names)}: whose price is unknown until their inputs exist" if names else ""


def plan_json(plan: Plan, estimates: Mapping[str, Any]) -> dict[str, Any]:
    """The plan as JSON data."""
    return {
        "experiment": plan.compiled.name,
        "idle": plan.idle,
        "budget": plan.compiled.budget,
        "steps": [_step_json(step, estimates.get(step.step.id)) for step in plan.steps],
    }


def _step_json(planned: PlannedStep, estimate: Any) -> dict[str, Any]:
    return {
        "id": planned.step.id,
        "kind": planned.step.kind,
        "state": planned.state,
        "because": planned.because,
        "differences": planned.differences,
        "against": planned.against,
        "notes": planned.step.notes,
        "obstacle": planned.obstacle,
        "key": planned.record.key if planned.record else None,
        "estimate": estimate,
    }
