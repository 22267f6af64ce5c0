"""Arguments, options and wordings shared by the commands of `polytune data`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from polytune.base_models import interface as models
from polytune.base_models.interface import BaseModelEntry
from polytune.errors import UsageError, did_you_mean


def file_argument(path: Path) -> Path:
    """Return the path. Raises UsageError with the closest file name when it is not a file."""
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; name a file in it")
    if not path.is_file():
        beside = sorted(path.parent.glob("*.jsonl")) if path.parent.is_dir() else []
        hint = did_you_mean(path.name, [each.name for each in beside]) if beside else ""
        raise UsageError(f"{path}: no such file.{hint}")
    return path


def _checked(ctx: click.Context, parameter: click.Parameter, value: Path) -> Path:
    return file_argument(value)


def _all_checked(ctx: click.Context, parameter: click.Parameter, value: Sequence[Path]) -> tuple[Path, ...]:
    return tuple(map(file_argument, value))


file = click.argument("file", type=click.Path(path_type=Path), callback=_checked)
held_out = click.option(
    "--held-out",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    callback=_all_checked,
    help="Rows like those of this file go, too; it stays as it is. Repeatable.",
)
base_model = click.option(
    "--base-model", metavar="ID", help="Judge and count for this model: nova-lite, or a folder ./NAME."
)


def entry_of(name: str | None) -> BaseModelEntry | None:
    """The entry of a base model; None for None. Raises UnknownMember for an unknown name."""
    if name is None:
        return None
    # A catalogue name wins over a folder of that name, so that adding a folder changes no command.
    known = models.BASE_MODELS.names()
    return models.find_base_model(
        f"./{name}" if name not in known and Path(name).is_dir() else name, Path.cwd()
    )


def plural(count: int, noun: str) -> str:
    """The count with its noun: `1 row`, `2,000 rows`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def megabytes(size: int) -> str:
    """The size as `1.5 MB` or `12.3 kB`, with decimal units."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} kB"
