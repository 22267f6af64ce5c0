"""`polytune validate FILE...`: checks data files against a base model's rules, without an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from polytune.base_models.interface import BASE_MODELS, Customization, find_base_model
from polytune.cli import options
from polytune.data.validate import report as rendering
from polytune.data.validate.validate import check_dataset
from polytune.errors import DataError, ExitCode, UsageError, did_you_mean
from polytune.formats.interface import FORMATS

splits = ("train", "validation", "test")


@click.command("validate")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--base-model", required=True, metavar="ID", help="A name such as nova-lite, or a folder ./NAME."
)
@click.option("--format", "format_name", metavar="NAME", help="Default: what the first line looks like.")
@click.option(
    "--customization",
    type=click.Choice(["fine_tuning", "distillation", "reinforcement_fine_tuning"]),
    help="What the data is for. Default: the first that takes the format.",
)
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    /,
    files: tuple[Path, ...],
    base_model: str,
    format_name: str | None,
    customization: Customization | None,
    as_json: bool,
) -> None:
    """Check data FILEs against a base model's rules.

    The name of a file is its split: train.jsonl, validation.jsonl, test.jsonl. A single file with another
    name is checked as training data. Exits with 1 when there are errors.
    """
    by_split = split_files(files)
    entry = find_base_model(_base_model(base_model), Path.cwd())
    name = format_name or guessed_format(next(iter(by_split.values())), entry.all_formats)
    if format_name:
        FORMATS.load(format_name)
    report = check_dataset(by_split, entry, name, customization=customization)
    if as_json:
        click.echo(rendering.to_json(report), nl=False)
    else:
        click.echo("\n".join(rendering.render(report, everything="the report of --json")))
    ctx.exit(ExitCode.DONE if report.passed else ExitCode.FAILED)


def split_files(files: Sequence[Path]) -> dict[str, Path]:
    """The files by split, training data first. Raises UsageError for a missing or ambiguous file."""
    for path in files:
        if not path.is_file():
            raise UsageError(f"{path}: {_absence(path)}")
    # With several files, guessing which is the training data could check the wrong rules.
    if len(files) == 1 and files[0].stem not in splits:
        return {"train": files[0]}
    found: dict[str, Path] = {}
    for path in files:
        if path.stem in found:
            raise UsageError(f"{path}: {found[path.stem]} is already the split '{path.stem}'; rename one")
        found[path.stem] = path
    order = (*(split for split in splits if split in found), *found)
    return {split: found[split] for split in order}


def _absence(path: Path) -> str:
    if path.is_dir():
        return "is a folder; name the files in it"
    names = [each.name for each in path.parent.glob("*.jsonl")] if path.parent.is_dir() else []
    return f"no such file.{did_you_mean(path.name, names)}" if names else "no such file"


def _base_model(name: str) -> str:
    """The name of a base model; a folder in the current one may be given without `./`."""
    known = BASE_MODELS.names()
    return f"./{name}" if name not in known and "/" not in name and Path(name).is_dir() else name


def guessed_format(path: Path, usual: Sequence[str]) -> str:
    """The format in which the first line has the fewest problems; one of `usual` if none can read it."""
    # The usual formats come first, and `min` keeps the first of equals: they win ties.
    formats = FORMATS
    line = _first_line(path)
    others = [name for name in formats.names() if name not in usual]
    faults = {name: _faults(formats.load(name)(), line) for name in (*usual, *others)}
    readable = [name for name, (unreadable, _) in faults.items() if not unreadable]
    return min(readable or usual, key=lambda name: faults[name])


def _faults(layout: Any, line: bytes) -> tuple[bool, int]:
    reading = layout.check(line, 1)
    return reading.conversation is None, len(reading.findings)


def _first_line(path: Path) -> bytes:
    """The first line that is not blank, without a byte order mark; b'' when there is none."""
    try:
        with path.open("rb") as file:
            found = next((line for line in file if line.strip()), b"")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from error
    return found.removeprefix(b"\xef\xbb\xbf").strip()
