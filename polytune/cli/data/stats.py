"""`polytune data stats FILE`: counts, lengths, tokens, teachers and cells of a data file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import click
import msgspec

from polytune.base_models.interface import BaseModelEntry
from polytune.cli import options
from polytune.cli._platforms import PlatformChoice
from polytune.cli._table import table
from polytune.cli.data import _options as words
from polytune.data import tokens
from polytune.data.reading import Row, read_rows
from polytune.data.report.summary import Distribution, FileSummary, summarise
from polytune.errors import PolytuneError
from polytune.platforms.management import MANAGEMENTS
from polytune.wiring import OpenWorkspace

counted_rows = 48
"""Rows whose tokens the platform counts; the rest of the file is estimated in proportion."""
looked_at_rows = 4800
"""The counted rows are spread over this many rows at the beginning of the file."""


@click.command("stats")
@words.file
@words.base_model
@click.option(
    "--offline", is_flag=True, help="Count without asking a platform, even where credentials are set."
)
@options.as_json
def command(file: Path, base_model: str | None, offline: bool, as_json: bool) -> None:
    """Show the number of rows in FILE, their layouts, lengths, tokens and teachers.

    Tokens are counted with the base model's tokenizer if it is on this machine. For a Bedrock model they are
    estimated; with credentials, the estimate is calibrated on Bedrock's own count of a few dozen rows.
    """
    counter = _counter_for(words.entry_of(base_model), file, offline=offline)
    summary = summarise(file, counter)
    if as_json:
        click.echo(msgspec.json.encode(summary))
    else:
        click.echo("\n".join(_lines(summary)))


def _counter_for(entry: BaseModelEntry | None, file: Path, *, offline: bool) -> tokens.TokenCounter:
    """The most precise token counter for a base model and a file.

    If a platform of the model can count tokens, it counts a few dozen rows, and the estimate is calibrated on
    them. If that fails, a message on stderr says why, and the estimate is not calibrated.
    """
    here = tokens.counter_for(entry)
    if offline or entry is None or here.exact:
        return here
    opened = OpenWorkspace.open(None, None)
    for name in entry.platforms:
        if name not in MANAGEMENTS.names():
            continue
        (platform,) = PlatformChoice(name).managements(opened)
        try:
            if (exact := platform.token_counter(entry)) is not None:
                return tokens.CalibratedTokens(exact, _texts(file))
        except PolytuneError as error:
            # Exact counts are a bonus: statistics must not fail because credentials have expired.
            click.echo(f"tokens are estimated: {error}", err=True)
    return here


def _texts(file: Path) -> list[str]:
    """The prompts and answers of rows spread evenly over the beginning of the file."""
    # Spread, because files are often sorted; only the beginning, because reading a whole file takes long.
    read = islice(read_rows(file), looked_at_rows)
    rows = [row for row in read if isinstance(row, Row)]
    step = max(1, len(rows) // counted_rows)
    chosen = rows[::step][:counted_rows]
    return [text for row in chosen for text in (row.prompt, row.answer) if text.strip()]


def _lines(summary: FileSummary) -> Iterator[str]:
    layouts = ", ".join(f"{name} {rows:,}" for name, rows in summary.layouts.items())
    bad = f", {words.plural(summary.bad_rows, 'unreadable line')}" if summary.bad_rows else ""
    yield f"{words.plural(summary.rows, 'row')}, {words.megabytes(summary.bytes)}{bad}"
    yield f"layout       {layouts or 'none'}"
    systems = words.plural(summary.systems, "system prompt")
    yield f"prompts      {summary.prompts:,} different, {systems}"
    yield (
        f"repeated     {words.plural(summary.duplicate_rows, 'duplicate row')}, "
        f"{words.plural(summary.different_answers, 'further answer')} to a prompt"
    )
    if summary.longer_conversations:
        yield f"longer       {words.plural(summary.longer_conversations, 'longer conversation')}"
    yield ""
    yield from table(
        [
            ["tokens", "total", "min", "p50", "p90", "p99", "max"],
            ["of rows", *_figures(summary.tokens)],
            ["of answers", *_figures(summary.answer_tokens)],
        ]
    )
    yield f"longest row  line {summary.longest_row:,}"
    yield f"counted      {'by the tokenizer' if summary.tokens_exact else summary.token_error}"
    if summary.mean_score is not None:
        yield f"score        {summary.mean_score:g} on average of {words.plural(summary.scored_rows, 'row')}"
    yield from _counts("teacher", summary.teachers)
    yield from _counts("cell", summary.cells)


def _figures(found: Distribution) -> list[str]:
    return [f"{figure:,}" for figure in (found.total, found.min, found.p50, found.p90, found.p99, found.max)]


def _counts(name: str, counts: Mapping[str, int]) -> Iterator[str]:
    if counts:
        yield ""
        yield from table([[name, "rows"], *[[label, f"{rows:,}"] for label, rows in counts.items()]])
