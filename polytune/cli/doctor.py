"""`polytune doctor [FILE]`: read-only checks of everything a run needs from its platforms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from polytune.cli import _platforms as platforms
from polytune.cli import options
from polytune.cli._platforms import PlatformChoice
from polytune.engine.mounts import network_kind
from polytune.engine.selection import Flags
from polytune.errors import ExitCode, UsageError
from polytune.platforms.management import (
    Management,
    PlatformUse,
    PreflightCheck,
    ok,
    wrong,
)
from polytune.settings import read_dotenv
from polytune.wiring import OpenWorkspace


@click.command("doctor")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--bucket", default="", metavar="NAME", help="Without FILE: the bucket to look at.")
@click.option("--role-arn", default="", metavar="ARN", help="Without FILE: the service role to look at.")
@platforms.platform_options
@options.overrides
@options.as_json
@click.pass_context
def command(
    ctx: click.Context, /, file: Path | None, choice: PlatformChoice, as_json: bool, **given: Any
) -> None:
    """Check for problems that would stop a run of FILE, or any run.

    Checks credentials, region, bucket, permissions and models. Changes nothing, neither in an account nor
    here. Each line is ok, a problem with its fix, or unknown if it cannot be checked. Exits with 3 when there
    is a problem.
    """
    if file is not None and (given["bucket"] or given["role_arn"] or choice.region):
        raise UsageError("FILE says bucket, role and region; change them with --set platform.bucket=...")
    opened = choice.opened(file)
    asked = choice.managements(opened)
    found = [_workspace(opened), *_variables(opened, asked)]
    if file is None:
        stated = {"bucket": given["bucket"], "role_arn": given["role_arn"]}
        for each in asked:
            found += each.checks(None, stated)
    else:
        found += _experiment(opened, file, given["overrides"], asked)
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        click.echo("\n".join(_lines(found)))
    has_problem = any(each.state == "problem" for each in found)
    ctx.exit(ExitCode.BLOCKED if has_problem else ExitCode.DONE)


def _experiment(
    opened: OpenWorkspace, file: Path, overrides: tuple[str, ...], asked: Sequence[Management]
) -> Iterator[PreflightCheck]:
    """Checks of what each step needs on this machine, and of each platform that a step uses."""
    examined: list[PlatformUse] = []
    for compiled in opened.compile(file, overrides):
        plan = opened.planner(compiled, options.selected(compiled, Flags())).plan(compiled)
        for planned in opened.preflight(plan).plan.blocked:
            # Steps that only wait for a blocked one have no obstacle of their own.
            if planned.obstacle is not None:
                fix = planned.obstacle.remedy or "Do what it says, then ask again"
                yield wrong(f"step {planned.step.id}", planned.obstacle.cause, fix)
        used = platforms.uses(opened, compiled)
        for each in asked:
            use = used.get(each.name)
            # Variants often use a platform in the same way: the checks are calls to AWS, so make them once.
            if use is not None and use not in examined:
                examined.append(use)
                yield from each.checks(use, {})
    for each in asked:
        if all(use.spec.kind != each.name for use in examined):
            yield ok(each.name, "no step of the experiment works on it")


def _workspace(opened: OpenWorkspace) -> PreflightCheck:
    """A check that this user may write to `runs/`, and on which kind of file system it is."""
    runs = opened.workspace.runs
    if refused := opened.ledger.refusal:
        found, _, fix = refused.partition(". ")
        return wrong("workspace", found, fix)
    network = network_kind(runs)
    kept = f"on a network file system ({network}); the ledger has no write-ahead log" if network else ""
    group = "for the group of the folder" if opened.settings.shared else "for its owner only"
    return ok("workspace", ", ".join(filter(None, (str(runs), group, kept))))


def _variables(opened: OpenWorkspace, asked: Sequence[Management]) -> Iterator[PreflightCheck]:
    """A check that names the variables set in .env, which decide where calls go."""
    # Names only: the values may be secrets.
    path = opened.workspace.root / ".env"
    prefixes = ("POLYTUNE_", *(prefix for each in asked for prefix in each.variables))
    ours = sorted(name for name in read_dotenv(path) if name.startswith(prefixes))
    held = f"{path} sets {', '.join(ours)}" if ours else f"{path} sets nothing that polytune reads"
    yield ok(".env", held if path.is_file() else f"there is none at {path}")


def _lines(found: Sequence[PreflightCheck]) -> Iterator[str]:
    for each in found:
        yield f"{each.state:<8} {each.what}: {each.found}"
        if each.fix:
            yield f"{'fix':<8} {each.fix}"
    count = sum(each.state == "problem" for each in found)
    yield f"{count} problem{'s' * (count != 1)}"
