"""`polytune data head|sample FILE`: shows rows with each text under its role, and long texts cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import msgspec

from polytune.cli import options
from polytune.cli.data import _options as words
from polytune.data import excerpts
from polytune.data.excerpts import Excerpt

shown_lines = 12
shown_characters = 800

_count = click.option(
    "-n", "count", type=click.IntRange(min=0), default=3, show_default=True, help="Number of rows."
)
_whole = click.option("--whole", is_flag=True, help="Do not cut long texts.")


@click.command("head")
@words.file
@_count
@_whole
@options.as_json
def head(file: Path, count: int, whole: bool, as_json: bool) -> None:
    """Show the first rows of FILE as texts, for any layout, with ids for `lint --allow`."""
    _show(excerpts.head(file, count), whole=whole, as_json=as_json)


@click.command("sample")
@words.file
@_count
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed draws other rows.")
@_whole
@options.as_json
def sample(file: Path, count: int, seed: int, whole: bool, as_json: bool) -> None:
    """Show random rows of FILE in file order; the same seed selects the same rows."""
    _show(excerpts.drawn(file, count, seed), whole=whole, as_json=as_json)


def _show(rows: Sequence[Excerpt], *, whole: bool, as_json: bool) -> None:
    """Print the rows."""
    if as_json:
        click.echo(msgspec.json.encode(rows))
        return
    for number, row in enumerate(rows):
        click.echo("\n".join(_lines(row, whole=whole)) + "\n" * (number < len(rows) - 1))


def _lines(row: Excerpt, *, whole: bool) -> Iterator[str]:
    if row.problem:
        yield f"line {row.line:,}   no row: {row.problem}"
        return
    yield f"line {row.line:,}   {row.id}   {row.layout}"
    for name, text in (("system", row.system), ("prompt", row.prompt), ("answer", row.answer)):
        if text or name == "answer":
            first, *more = _cut(text, whole=whole) or [""]
            yield f"  {name}   {first}".rstrip()
            yield from (f"           {line}".rstrip() for line in more)


def _cut(text: str, *, whole: bool) -> list[str]:
    lines = text.splitlines()
    if whole or (len(lines) <= shown_lines and len(text) <= shown_characters):
        return lines
    # Both limits are needed: minified texts have one long line, others many short ones.
    kept = text[:shown_characters].splitlines()[:shown_lines]
    return [*kept, f"… {len(text) - sum(len(line) + 1 for line in kept):,} more characters: --whole"]
