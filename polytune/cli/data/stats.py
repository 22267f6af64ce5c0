"""`polytune data stats FILE`: what a file of rows is like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from polytune.cli import options
from polytune.cli._table import table
from polytune.cli.data import _options as words
from polytune.cli.data import _tokens
from polytune.data.report.summary import summarise


@click.command("stats")
@words.file
@words.base_model
@_tokens.offline
@options.as_json
def command(file: Path, base_model: str | None, offline: bool, as_json: bool) -> None:
    """Show how many rows FILE has, of which layouts, how long, by whom.

    Tokens are counted with the base model's tokenizer where it lies on this machine. For a model of Bedrock
    they are estimated, calibrated by its own count of a few dozen rows where credentials are stated.
    """
    counter = _tokens.counter_for(words.entry_of(base_model), file, offline=offline)
    summary = summarise(file, counter)
    if as_json:
        click.echo(msgspec.json.encode(summary))
    else:
        click.echo("\n".join(_lines(summary)))


def _lines(summary: Any) -> Iterator[str]:
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


def _figures(found: Any) -> list[str]:
    return [f"{figure:,}" for figure in (found.total, found.min, found.p50, found.p90, found.p99, found.max)]


def _counts(name: str, counts: Mapping[str, int]) -> Iterator[str]:
    if counts:
        yield ""
        yield from table([[name, "rows"], *[[label, f"{rows:,}"] for label, rows in counts.items()]])
