"""`polytune data card FILE`: a dataset card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from polytune.cli import options
from polytune.cli.data import _options as words
from polytune.data.lint.rules.interface import LintOptions
from polytune.data.report import card as cards
from polytune.data.tokens import counter_for
from polytune.errors import UsageError
from polytune.files import write_whole


@click.command("card")
@words.file
@words.base_model
@click.option(
    "--licence", "licences", multiple=True, metavar="TEACHER=TERMS", help="A teacher's terms. Repeatable."
)
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Write it there.")
@options.as_json
def command(
    file: Path, base_model: str | None, licences: Sequence[str], out: Path | None, as_json: bool
) -> None:
    """Write a card for FILE in Markdown: who wrote the rows and under which terms, counts, cells, lint, and
    the command that makes the file again when a run near it says so."""
    entry = words.entry_of(base_model)
    chosen = LintOptions(entry)
    counter = counter_for(entry)
    card = cards.card_of(file, counter, chosen, dict(_pair(each) for each in licences))
    content = msgspec.json.encode(card).decode() + "\n" if as_json else cards.markdown(card)
    if out is None:
        click.echo(content, nl=False)
    else:
        write_whole(out, content.encode())
        click.echo(f"written to {out}", err=True)


def _pair(text: str) -> tuple[str, str]:
    teacher, equals, terms = text.partition("=")
    if not (teacher and equals and terms):
        raise UsageError(f"--licence {text}: write TEACHER=TERMS, such as claude-4-5-sonnet='our contract'")
    return teacher, terms
