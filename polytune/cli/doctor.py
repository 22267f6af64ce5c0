"""`polytune doctor [FILE]`: a read-only look at everything a run on Bedrock will need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from polytune.cli import _account as account
from polytune.cli import _experiment as experiment
from polytune.cli import options
from polytune.errors import UsageError
from polytune.lazy import part
from polytune.settings import read_dotenv
from polytune.wiring import Desk

endpoints = "AWS_ENDPOINT_URL"


@click.command("doctor")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--bucket", default="", metavar="NAME", help="Without FILE: the bucket to look at.")
@click.option("--role-arn", default="", metavar="ARN", help="Without FILE: the service role to look at.")
@account.region_option
@options.overrides
@options.workspace
@options.as_json
@click.pass_context
def command(
    ctx: click.Context, /, file: Path | None, workspace: Path | None, as_json: bool, **said: Any
) -> None:
    """Look for what would stop a run of FILE, or of anything: credentials, region, bucket, rights, models.

    Changes nothing, in the account or here. Each line is ok, a problem with its fix, or unknown because it
    may not be looked at. Exits with 1 when there is a problem.
    """
    if file is not None and (said["bucket"] or said["role_arn"] or said["region"]):
        raise UsageError("FILE says bucket, role and region; change them with --set platform.bucket=...")
    desk = Desk.open(file, workspace)
    found = list(_checks(desk, file, said))
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        click.echo("\n".join(_lines(found)))
    ctx.exit(1 if any(each.state == "problem" for each in found) else 0)


def _checks(desk: Desk, file: Path | None, said: Mapping[str, Any]) -> Iterator[Any]:
    yield from _surroundings(desk)
    if file is None:
        wants = experiment.stated(desk.settings, said["region"], said["bucket"], said["role_arn"])
        yield from _account(desk, wants)
        return
    found = [experiment.wanted_of(desk, each) for each in desk.compile(file, said["overrides"])]
    checks = part("platforms.bedrock.doctor")
    examined: list[Any] = []
    for each in found:
        for step in each.compiled.steps:
            missing = desk.step_factory(each.compiled).missing(step)
            if missing:
                yield checks.wrong(f"step {step.id}", missing, "Do what it says, then ask again")
        if each.wants is not None and each.wants not in examined:
            examined.append(each.wants)
            yield from _account(desk, each.wants)
    if not examined:
        yield checks.ok("account", "no step works on Bedrock: none is needed")


def _surroundings(desk: Desk) -> Iterator[Any]:
    """The variables that decide where calls go, and where they were set."""
    checks = part("platforms.bedrock.doctor")
    path = desk.workspace.root / ".env"
    stated = read_dotenv(path)
    ours = sorted(name for name in stated if name.startswith(("AWS_", "BEDROCK_", "POLYTUNE_")))
    held = f"{path} sets {', '.join(ours)}" if ours else f"{path} sets nothing of AWS's"
    yield checks.ok(".env", held if path.is_file() else f"there is none at {path}")
    for name, value in sorted(desk.settings.environment.items()):
        if name.startswith(endpoints) and value:
            yield checks.ok("endpoint", f"{name} sends calls to {value}, not to AWS")


def _account(desk: Desk, wants: Any) -> Iterator[Any]:
    checks = part("platforms.bedrock.doctor")
    yield checks.ok("region", wants.places.region)
    access = part("aws.access").Access(
        region=wants.places.region,
        assume_role_arn=wants.assume_role_arn,
        environment=desk.settings.environment,
    )
    yield from checks.Examination(access, wants).checks()


def _lines(found: Sequence[Any]) -> Iterator[str]:
    for each in found:
        yield f"{each.state:<8} {each.what}: {each.found}"
        if each.fix:
            yield f"{'fix':<8} {each.fix}"
    count = sum(each.state == "problem" for each in found)
    yield f"{count} problem{'s' * (count != 1)}"
