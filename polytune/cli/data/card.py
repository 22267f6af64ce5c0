"""`polytune data card FILE`: writes a dataset card."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from polytune.cli import options
from polytune.cli.data import _options as words
from polytune.data.lint.rules.interface import LintOptions
from polytune.data.report import card as cards
from polytune.data.tokens import counter_for
from polytune.files import write_whole


@click.command("card")
@words.file
@words.base_model
@click.option(
    "--licence",
    default="",
    metavar="TERMS",
    help="The licence of the rows. Default: the `licence` of the experiment that made the file.",
)
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Write it there.")
@options.as_json
def command(file: Path, base_model: str | None, licence: str, out: Path | None, as_json: bool) -> None:
    """Write a dataset card for FILE in Markdown.

    The card contains the stated licence, the teachers, counts, cells and lint findings, and for a file in a
    run's folder the command that reproduces it.
    """
    entry = words.entry_of(base_model)
    card = cards.card_of(file, counter_for(entry), LintOptions(entry), licence)
    content = msgspec.json.encode(card).decode() + "\n" if as_json else cards.markdown(card)
    # With --out, the message goes to stderr: stdout is for the card only.
    if out is None:
        click.echo(content, nl=False)
    else:
        write_whole(out, content.encode())
        click.echo(f"written to {out}", err=True)
