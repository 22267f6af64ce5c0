"""`polytune resume [RUN]`: continues a run where it stopped, with the experiment as recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from polytune.cli import options
from polytune.cli.run import (
    consent,
    open_session,
    open_workspace,
    ready,
    show,
    stated_consent,
)
from polytune.engine.manifest import Consent, Manifest, StepStatus
from polytune.engine.selection import Flags
from polytune.errors import Blocked, Busy, ExitCode
from polytune.wiring import OpenWorkspace


@click.command("resume")
@click.argument("run", required=False)
@click.option("--yes", is_flag=True, help="Do not ask before spending money.")
@click.option("--max-usd", type=float, help="Stop before the whole run, from its start, spends more.")
@click.option("--rehearse", is_flag=True, help="Resume a rehearsal; its local stand-ins are started again.")
@click.option("--detach", is_flag=True, help="Collect finished jobs, and do not wait for the others.")
@click.option("--agree", multiple=True, metavar="STEP", help="Accept a step's ongoing hourly cost.")
@click.option("--log-format", type=click.Choice(["auto", "plain", "json"]), help="Output format of events.")
@options.workspace
@options.as_json
@click.pass_context
def command(ctx: click.Context, /, run: str | None, workspace: Path | None, **flags: Any) -> None:
    """Continue the last unfinished run, or the one named by its id or experiment."""
    with open_workspace(None, workspace, creating=False, rehearse=flags["rehearse"]) as opened:
        ctx.exit(resumed(opened, run, flags))


def resumed(opened: OpenWorkspace, run: str | None, flags: dict[str, Any]) -> int:
    """Continue the run and return its exit code. Raises Busy when another process is running it."""
    row = opened.run(run) if run is not None else opened.latest_run(unfinished_only=True)
    manifest, compiled = opened.manifest(row), opened.recorded(row)
    if live := opened.live(row):
        raise Busy(f"{row.run_id} is in use by {live}")
    planner = opened.planner(compiled, options.selected(compiled, remaining(manifest)))
    plan = planner.plan(compiled)
    if manifest.status == "done" and plan.idle:
        # The run may have been killed after writing its last manifest, before the ledger recorded its end.
        opened.ledger.record_run(msgspec.structs.replace(row, status="done"))
        click.echo(f"{row.run_id} is already finished; nothing was run.", err=True)
        return show(manifest, as_json=flags["as_json"])
    spent = spent_usd(manifest, opened)
    given = with_consent(stated_consent(flags), manifest.consent)
    left = None if given.max_usd is None else max(0.0, given.max_usd - spent)
    try:
        checked = ready(opened, plan, left)
    except Blocked as blocked:
        kept = f"resume goes on with {manifest.path} as it was when the run began"
        raise Blocked(f"{blocked}\n{kept}. After an edit: polytune run {manifest.path}") from None
    agreed = consent(checked, opened, given, spent=spent)
    # The manifest keeps the flags of the original command, so that a second resume selects the same steps.
    recorded = {"overrides": manifest.overrides, "chosen": manifest.flags}
    with open_session(
        opened, planner, compiled, {**flags, **recorded}, agreed, checked.allowed_usd
    ) as session:
        finished = session.resume(checked.plan, manifest)
    code = show(finished, as_json=flags["as_json"])
    # A script can tell a job that is still running from one that is done, and ask again later.
    return ExitCode.PAUSED if finished.status == "waiting" else code


def with_consent(given: Consent, before: Consent) -> Consent:
    """Return what is agreed to now or was agreed to before."""
    return Consent(
        yes=given.yes or before.yes,
        usd=before.usd,
        max_usd=before.max_usd if given.max_usd is None else given.max_usd,
        agree=(*before.agree, *(step for step in given.agree if step not in before.agree)),
    )


def spent_usd(manifest: Manifest, opened: OpenWorkspace) -> float:
    """Return what the run has cost: its answers, and the high estimate of each job that it has finished.

    A platform's bill comes later than the job's end. What has no known price counts as 0.
    """
    answers = opened.ledger.spent(manifest.experiment, since=manifest.started_at).usd
    finished = (each for each in manifest.steps.values() if each.status is StepStatus.DONE)
    return answers + sum(each.cost.estimated_high or 0.0 for each in finished if not each.usage.requests)


def remaining(manifest: Manifest) -> Flags:
    """The run's flags, without forcing steps again that it has already forced and completed."""
    flags = manifest.flags
    forced = tuple(step for step in flags.force if not manifest.steps[step].status.complete)
    return msgspec.structs.replace(flags, force=forced)
