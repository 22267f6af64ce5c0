"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from polytune.engine.compiled import Compiled
from polytune.engine.selection import Flags, Selection, select
from polytune.wiring import OpenWorkspace

F = TypeVar("F", bound=Callable[..., Any])

experiment_file = click.argument("file", type=click.Path(path_type=Path))
workspace = click.option(
    "--workspace",
    type=click.Path(path_type=Path),
    help="Folder that holds runs/. Default: the nearest parent of FILE with runs/ or .git.",
)
rehearsal = click.option("--rehearsal", is_flag=True, help="Use rehearsals instead of real runs.")
overrides = click.option(
    "--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Override one value."
)
variant = click.option("--variant", metavar="NAME", help="Use only this variant of the matrix.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def selection(command: F) -> F:
    """Add the options that select steps."""
    # Decorators apply from the inside out, so the list is reversed to keep its order in --help.
    for option in reversed(
        (
            click.option("--until", metavar="STEP", help="Run this step and the steps it needs."),
            click.option("--only", metavar="STEP", help="Run this step only."),
            click.option("--from", "since", metavar="STEP", help="Run this step and the steps after it."),
            click.option(
                "--force", multiple=True, metavar="STEP", help="Run this step even if its output is cached."
            ),
            click.option(
                "--accept",
                multiple=True,
                metavar="STEP",
                help="Accept the step's closest earlier output as valid.",
            ),
        )
    ):
        command = option(command)
    return command


def flags_of(flags: dict[str, Any]) -> Flags:
    """The values of the options of `selection`."""
    return Flags(**{name: flags[name] for name in Flags.__struct_fields__})


def selected(compiled: Compiled, flags: Flags) -> Selection:
    """The selection described by the flags. Raises UsageError for a step that does not exist."""
    return select(compiled, **msgspec.structs.asdict(flags))


def variants(
    opened: OpenWorkspace, file: Path, changes: tuple[str, ...], name: str | None
) -> tuple[Compiled, ...]:
    """The file's variants, or the one named by `--variant`. Raises UsageError for an unknown variant."""
    return opened.compile(file, changes, name)
