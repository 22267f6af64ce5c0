"""`polytune data diff A B`: compares the rows of two files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from polytune.cli import options
from polytune.cli.data import _options as words
from polytune.data.report.compare import RowsDiff, compare_rows
from polytune.errors import ExitCode


@click.command("diff")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "--rows", type=click.IntRange(min=0), default=3, show_default=True, help="So many rows of each sort."
)
@options.as_json
@click.pass_context
def command(ctx: click.Context, a: Path, b: Path, rows: int, as_json: bool) -> None:
    """Compare the rows of B with those of A, regardless of layout and order.

    Rows are the same if system prompt, prompt and answer are equal except for whitespace. A row with the same
    prompt and a different answer has changed. Exits with 0 when the files are the same, and with 1 when they
    differ.
    """
    found = compare_rows(words.file_argument(a), words.file_argument(b), rows)
    click.echo(msgspec.json.encode(found) if as_json else "\n".join(_lines(found)))
    ctx.exit(ExitCode.DONE if found.is_same else ExitCode.FAILED)


def _lines(found: RowsDiff) -> Iterator[str]:
    yield f"{found.a}: {words.plural(found.rows_a, 'row')}   {found.b}: {words.plural(found.rows_b, 'row')}"
    if found.bad:
        yield f"{words.plural(found.bad, 'unreadable line')} not compared"
    for name in ("added", "removed", "changed"):
        count = getattr(found, name)
        if count:
            yield f"{name:<8} {count:,}"
        for row in getattr(found, f"first_{name}"):
            was = f" (was line {row.was_line:,})" if row.was_line else ""
            yield f"         line {row.line:,}{was}: {row.prompt}"
    yield f"same     {found.same:,}"
