"""`polytune data head FILE`: the first rows."""

from __future__ import annotations

from pathlib import Path

import click

from polytune.cli import options
from polytune.cli.data import _options as words
from polytune.cli.data import _rows
from polytune.data.excerpts import head


@click.command("head")
@words.file
@click.option("-n", "count", type=click.IntRange(min=0), default=3, show_default=True, help="So many rows.")
@click.option("--whole", is_flag=True, help="Show long texts to their end.")
@options.as_json
def command(file: Path, count: int, whole: bool, as_json: bool) -> None:
    """Show the first rows of FILE as their texts, whatever their layout, with ids for `lint --allow`."""
    _rows.show(head(file, count), whole=whole, as_json=as_json)
