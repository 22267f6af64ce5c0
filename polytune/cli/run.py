"""`polytune run FILE`: plans, asks before spending money, executes, and shows the results."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

from polytune import parts
from polytune.cli import lines, options
from polytune.cli.outcome import outcome_lines, program
from polytune.cli.plan import plan_lines
from polytune.engine.compiled import Compiled
from polytune.engine.manifest import Consent, Manifest
from polytune.engine.plan import Plan, Planner, StepState
from polytune.errors import Blocked, ExitCode, UsageError
from polytune.wiring import OpenWorkspace, Preflight, rehearsing, up_to_date

free_of_asking_usd = 0.0
"""Runs that may cost more than this need the user's consent."""


@click.command("run")
@options.experiment_file
@options.selection
@options.overrides
@options.variant
@click.option("--yes", is_flag=True, help="Do not ask before spending money.")
@click.option("--max-usd", type=float, help="Stop before this run spends more than this.")
@click.option(
    "--rehearse", is_flag=True, help="Run against local stand-ins of all paid services, at no cost."
)
@click.option("--detach", is_flag=True, help="Do not wait for remote jobs; `resume` collects them later.")
@click.option("--agree", multiple=True, metavar="STEP", help="Accept a step's ongoing hourly cost.")
@click.option("--log-format", type=click.Choice(["auto", "plain", "json"]), help="Output format of events.")
@options.workspace
@options.as_json
@click.pass_context
def command(ctx: click.Context, /, file: Path, workspace: Path | None, **flags: Any) -> None:
    """Run an experiment; steps that are already done are skipped."""
    with open_workspace(file, workspace, creating=file.is_file(), rehearse=flags["rehearse"]) as opened:
        variants = options.variants(opened, file, flags["overrides"], flags["variant"])
        if len(variants) > 1:
            # A later variant that is blocked must not be found out after the earlier ones were paid for.
            for compiled in variants:
                ready(opened, _planner(opened, compiled, flags).plan(compiled), flags["max_usd"])
        codes = [run_variant(opened, compiled, flags) for compiled in variants]
    ctx.exit(max(codes))


@contextmanager
def open_workspace(
    near: Path | None, workspace: Path | None, *, creating: bool, rehearse: bool
) -> Iterator[OpenWorkspace]:
    """Open the workspace for writing, or its rehearsal part with the stand-ins running."""
    if not rehearse:
        yield OpenWorkspace.open(near, workspace, creating=creating, writing=True)
        return
    with rehearsing(near, workspace, creating=creating) as opened:
        click.echo("rehearsal: stand-ins on this machine; losses, answers and prices are synthetic", err=True)
        yield opened


def run_variant(opened: OpenWorkspace, compiled: Compiled, flags: dict[str, Any]) -> int:
    """Run one experiment, show its outcome and return the exit code."""
    planner = _planner(opened, compiled, flags)
    plan = planner.plan(compiled)
    latest = opened.latest(compiled)
    # An idle plan that differs from the latest run still makes a run, whose outputs come from the cache.
    if latest is not None and up_to_date(plan, latest):
        click.echo(f"{compiled.name}: everything is up to date; nothing was run.", err=True)
        return show(latest, as_json=flags["as_json"])
    checked = ready(opened, plan, flags["max_usd"])
    agreed = consent(checked, opened, stated_consent(flags))
    given = {**flags, "chosen": options.flags_of(flags)}
    with open_session(opened, planner, compiled, given, agreed, checked.allowed_usd) as session:
        manifest = session.start(checked.plan, checked.estimates)
    return show(manifest, as_json=flags["as_json"])


def _planner(opened: OpenWorkspace, compiled: Compiled, flags: dict[str, Any]) -> Planner:
    return opened.planner(compiled, options.selected(compiled, options.flags_of(flags)))


def ready(opened: OpenWorkspace, plan: Plan, max_usd: float | None) -> Preflight:
    """Return the plan and its estimates if nothing that can be known beforehand stops it. Raises Blocked."""
    checked = opened.preflight(plan, max_usd, outside=True)
    refuse_blocked(checked.plan)
    return checked


def refuse_blocked(plan: Plan) -> None:
    """Raises Blocked when a step that needs to run is blocked, before any other step costs money."""
    if plan.blocked:
        lines = [f"{plan.compiled.name}: {step.step.id}: {'; '.join(step.because)}" for step in plan.blocked]
        first = next((s.step.id for s in plan.steps if s.state is StepState.RUN), None)
        before = (
            f"\nTo run the steps before it: polytune run FILE --until {_last_runnable(plan)}" if first else ""
        )
        raise Blocked("\n".join(lines) + "\nNothing was run." + before)


def _last_runnable(plan: Plan) -> str:
    return [step.step.id for step in plan.steps if step.state in (StepState.RUN, StepState.MAYBE)][-1]


def consent(checked: Preflight, opened: OpenWorkspace, given: Consent, *, spent: float = 0.0) -> Consent:
    """Return all that the user has agreed to, after asking on a terminal about what `given` does not cover.

    `spent` is what the run has cost before, in US dollars. Raises UsageError without a terminal.
    """
    # A rehearsal costs nothing, and the prices in its estimates are synthetic.
    if opened.workspace.rehearsal:
        return given
    given = _hourly(checked, given)
    high = sum(e.usd_high or 0.0 for e in checked.estimates.values())
    covered = given.usd is not None and spent + high <= given.usd
    if high <= free_of_asking_usd or given.yes or covered:
        return given
    before = opened.ledger.spent_usd(checked.plan.compiled.name)
    click.echo("\n".join(plan_lines(checked.plan, checked.estimates, before)), err=True)
    if not sys.stdin.isatty():
        raise UsageError(f"this run may cost up to ${high:.2f}; pass --yes to accept that without a terminal")
    click.confirm(f"Spend up to ${high:.2f}?", abort=True, err=True)
    return msgspec.structs.replace(given, usd=spent + high)


def _hourly(checked: Preflight, given: Consent) -> Consent:
    """Ask about each ongoing hourly cost, unless a budget covers it or `--agree` names the step.

    `--yes` does not cover them: it accepts an amount, and these have none. Raises UsageError without a
    terminal.
    """
    for step, estimate in checked.estimates.items():
        covered = checked.allowed_usd is not None and estimate.usd_high is not None
        if not estimate.consent or covered or step in given.agree:
            continue
        what = f"{checked.plan.compiled.name}: {step}: {estimate.consent}"
        if not sys.stdin.isatty():
            raise UsageError(
                f"{what}. Accept it with --agree {step}, or set a `ttl` and a `budget.usd` that covers it"
            )
        click.confirm(f"{what}. Agree?", abort=True, err=True)
        given = msgspec.structs.replace(given, agree=(*given.agree, step))
    return given


def stated_consent(flags: dict[str, Any]) -> Consent:
    """Return what the options of a command agree to."""
    return Consent(yes=flags["yes"], max_usd=flags["max_usd"], agree=flags.get("agree", ()))


@contextmanager
def open_session(
    opened: OpenWorkspace,
    planner: Planner,
    compiled: Compiled,
    flags: dict[str, Any],
    agreed: Consent,
    max_usd: float | None,
) -> Iterator[parts.session.Session]:
    """Open a session that shows its events on the terminal, and restore the terminal afterwards."""
    display = display_for(flags["log_format"] or opened.settings.log_format)
    try:
        yield parts.session.Session(
            workspace=opened.workspace,
            planner=planner,
            make_step=opened.step_factory(compiled).fresh,
            settings=opened.settings,
            listeners=[display],
            max_usd=max_usd,
            consent=agreed,
            overrides=flags["overrides"],
            flags=flags["chosen"],
            detach=flags.get("detach", False),
        )
    finally:
        display.close()


def display_for(log_format: str) -> lines.Display:
    """Live bars on a terminal, plain lines elsewhere, JSON on request."""
    if log_format == "json":
        return lines.JsonLines(sys.stderr)
    if log_format == "plain" or not sys.stderr.isatty():
        return lines.PlainLines(sys.stderr)
    # rich takes a tenth of a second to import, so import it only for a terminal.
    from polytune.cli.screen import open_screen

    return open_screen()


def show(manifest: Manifest, *, as_json: bool) -> int:
    """Print the outcome and return the exit code."""
    if as_json:
        click.echo(msgspec.json.encode(manifest, order="deterministic"))
    else:
        click.echo("\n".join(outcome_lines(manifest)))
    rehearse = " --rehearse" if manifest.rehearsal else ""
    again = f"{program()} resume {manifest.run_id}{rehearse}"
    if manifest.status == "stopped":
        click.echo(f"stopped; finished work is saved. To continue, run `{again}`", err=True)
        return ExitCode.INTERRUPTED
    if manifest.status == "paused":
        click.echo(f"paused; nothing failed and nothing is lost. To continue, run `{again}`", err=True)
        return ExitCode.PAUSED
    # A detached job is the expected outcome of --detach, not a failure.
    if manifest.status == "waiting":
        click.echo(
            f"a job is still running; polytune need not wait for it. Collect its result: {again}", err=True
        )
        return ExitCode.DONE
    if manifest.status == "failed":
        edited = f"after an edit of {manifest.path}, `{program()} run {manifest.path}{rehearse}`"
        click.echo(f"Fix it, then run `{again}`; {edited}", err=True)
        return ExitCode.FAILED
    return ExitCode.DONE
