"""Which AWS account and region a command talks to: by `.env`, `--region`, and the ARNs it was given."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from polytune.engine.workspace import find_workspace
from polytune.errors import UsageError
from polytune.lazy import part
from polytune.settings import Settings, load_settings

usual_region = "us-east-1"
"""What an experiment that names no region takes too."""

region_option = click.option(
    "--region",
    metavar="NAME",
    help=f"Default: the region in the ARN, AWS_REGION, AWS_DEFAULT_REGION, else {usual_region}.",
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")

_arn = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:(?P<region>[a-z0-9-]*):[0-9]*:.+")
_region = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")


def settings_of(workspace: Path | None) -> Settings:
    """The settings of the workspace around the current folder, or of the one named."""
    return load_settings(find_workspace(None, workspace).root)


def region_of(settings: Settings, stated: str | None, *names: str) -> str:
    """The region to ask. Raises UsageError when `--region` is none, or ARNs among the names lie elsewhere."""
    if stated is not None and not _region.fullmatch(stated):
        raise UsageError(f"--region {stated}: not a region; write one as {usual_region}")
    chosen = stated
    for name in names:
        found = _arn.fullmatch(name)
        if name.startswith("arn:") and not found:
            raise UsageError(f"'{name}' is not an ARN: arn:aws:bedrock:REGION:ACCOUNT:...")
        lies = found["region"] if found else ""
        if lies and chosen and lies != chosen:
            raise UsageError(f"{name} is in {lies}, not in {chosen}")
        chosen = chosen or lies or None
    return chosen or str(part("aws.variables").Defaults.of(settings.environment).region) or usual_region


def access_to(settings: Settings, region: str) -> Any:
    """An `aws.access.Access` with the workspace's variables."""
    return part("aws.access").Access(region=region, environment=settings.environment)


def agreed(question: str, yes: bool) -> None:
    """Somebody said yes. Raises UsageError when nobody is there to ask, Abort when they said no."""
    if yes:
        return
    try:
        said = click.confirm(question, err=True)
    except click.Abort:
        raise UsageError(f"{question} Nobody answered, nothing was done; --yes answers yes") from None
    if not said:
        click.echo("nothing was done", err=True)
        raise click.exceptions.Exit(1)
