"""`polytune data sample FILE`: rows drawn evenly from the whole file."""

from __future__ import annotations

from pathlib import Path

import click

from polytune.cli import options
from polytune.cli.data import _options as words
from polytune.cli.data import _rows
from polytune.data.excerpts import drawn


@click.command("sample")
@words.file
@click.option("-n", "count", type=click.IntRange(min=0), default=3, show_default=True, help="So many rows.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed draws other rows.")
@click.option("--whole", is_flag=True, help="Show long texts to their end.")
@options.as_json
def command(file: Path, count: int, seed: int, whole: bool, as_json: bool) -> None:
    """Show rows of FILE drawn at random, in file order; the same seed draws the same rows."""
    _rows.show(drawn(file, count, seed), whole=whole, as_json=as_json)
