"""Which platforms a command queries: the one given by `--platform`, the owner of an identifier, or all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from polytune.cli.options import workspace as workspace_option
from polytune.engine.compiled import Compiled
from polytune.errors import UsageError
from polytune.platforms.management import MANAGEMENTS, Management, PlatformUse, uses_of
from polytune.wiring import OpenWorkspace

region_option = click.option(
    "--region",
    metavar="NAME",
    help="Default: the region in the identifier, else the platform's usual one (Bedrock: AWS_REGION).",
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
platform_option = click.option(
    "--platform", metavar="NAME", help="Ask only this platform. Default: every platform."
)


@dataclass(frozen=True)
class PlatformChoice:
    """The values of `platform_options`."""

    platform: str | None = None
    region: str | None = None
    workspace: Path | None = None

    def opened(self, near: Path | None = None) -> OpenWorkspace:
        """Open the workspace around a file or the current folder, or the one given with --workspace."""
        return OpenWorkspace.open(near, self.workspace)

    def managements(self, opened: OpenWorkspace | None = None) -> list[Management]:
        """Every platform, or the one named. Raises UnknownMember with the closest name."""
        opened = opened or self.opened()
        names = [self.platform] if self.platform else MANAGEMENTS.names()
        made = [MANAGEMENTS.load(name) for name in names]
        return [each(opened.workspace, opened.settings, opened.ledger, self.region or "") for each in made]

    def owners(self, identifier: str) -> Sequence[Management]:
        """The platforms that may have the thing with this identifier."""
        return owners(self.managements(), identifier)


def platform_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose platforms, region and workspace; the command takes them as `choice`."""

    @wraps(command)
    def chosen(
        *arguments: Any, platform: str | None, region: str | None, workspace: Path | None, **rest: Any
    ) -> Any:
        return command(*arguments, choice=PlatformChoice(platform, region, workspace), **rest)

    for option in (workspace_option, region_option, platform_option):
        chosen = option(chosen)
    return chosen


def owners(platforms: Sequence[Management], identifier: str) -> Sequence[Management]:
    """The platforms that own the identifier, judged by its form; all platforms when none does."""
    # An identifier that no platform recognizes may be a name, which any of them could have.
    return [each for each in platforms if each.owns(identifier)] or platforms


def agreed(question: str, yes: bool) -> None:
    """Ask for confirmation unless `yes`. Raises UsageError without anybody to ask, Exit for a no."""
    if yes:
        return
    # On stderr, because stdout may be piped into another program.
    try:
        said = click.confirm(question, err=True)
    except click.Abort:
        raise UsageError(f"{question} Nobody answered, nothing was done; --yes answers yes") from None
    if not said:
        click.echo("nothing was done", err=True)
        raise click.exceptions.Exit(1)


def uses(opened: OpenWorkspace, compiled: Compiled) -> dict[str, PlatformUse]:
    """What an experiment's steps require of each platform that they use, by the platform's name."""
    factory = opened.step_factory(compiled)
    asked = [(step.id, factory.step(step).requirements()) for step in compiled.steps]
    return uses_of(compiled.project, asked)


def with_arn(shown: dict[str, Any]) -> dict[str, Any]:
    """The `--json` form of a job or a model; ids that are ARNs also appear as `arn`.

    `arn` is for programs written before other platforms existed, whose ids are not ARNs.
    """
    return shown | {"arn": shown["id"]} if shown["id"].startswith("arn:") else shown
