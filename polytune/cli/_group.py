"""Command groups whose commands are imported only when called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from keyword import iskeyword
from typing import Any

import click

from polytune.errors import UsageError, did_you_mean


class Group(click.Group):
    """A group of commands: `polytune job list` is in `job/list.py`, its summary in `job/group.py`."""

    def __init__(
        self, name: str, members: Mapping[str, str], files: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        """`members`: each command's name and one-line summary.

        `files`: for a command that is not in a file of its own name, the module below `polytune.cli` and the
        name in it: `data.rows:head`.
        """
        super().__init__(name, **more)
        self.members = members
        self.files = files or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command of the group, in the order given."""
        return list(self.members)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; None when there is none."""
        if cmd_name not in self.members:
            return None
        # `dataset import` is in `import_.py`: a keyword cannot be imported as a module name.
        file = cmd_name.replace("-", "_") + ("_" if iskeyword(cmd_name) else "")
        module, _, name = self.files.get(cmd_name, f"{self.name}.{file}:command").partition(":")
        command: click.Command = getattr(importlib.import_module(f"polytune.cli.{module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command to call. Raises UsageError with the closest name for an unknown one."""
        if args and args[0] not in self.members and not args[0].startswith("-"):
            nearest = did_you_mean(args[0], list(self.members))
            raise UsageError(f"{self.name}: no command '{args[0]}'.{nearest}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.members.items()))
