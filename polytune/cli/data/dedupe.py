"""`polytune data dedupe FILE`: finds rows that repeat others, and writes the file without them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import click
import msgspec

from polytune.cli import options
from polytune.cli.data import _options as words
from polytune.data.dedupe import dedupe as deduping
from polytune.data.dedupe import embeddings as meaning
from polytune.data.dedupe.dedupe import DedupeReport
from polytune.data.dedupe.row_texts import RowTexts
from polytune.errors import UsageError

shown_rows = 10


@click.command("dedupe")
@words.file
@click.option(
    "--kind",
    type=click.Choice(["exact", "near", "semantic"]),
    default="near",
    show_default=True,
    help="Same text but for case and whitespace; nearly so; or of one meaning (a report only).",
)
@click.option(
    "--threshold", type=float, help="From which likeness on, 0.5 to 1. Default: 0.7; semantic 0.95."
)
@click.option(
    "--on",
    "compared",
    type=click.Choice(["row", "prompt", "answer"]),
    default="row",
    show_default=True,
    help="What is compared: prompt and answer, or one of them.",
)
@words.held_out
@click.option("--model", metavar="FOLDER", help="The embedding model for --kind semantic.")
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Write the rows that stay.")
@options.as_json
def command(
    file: Path, kind: Literal["exact", "near", "semantic"], threshold: float | None, **asked: Any
) -> None:
    """Find rows of FILE that repeat others; nothing is written without --out.

    Of similar rows, the one with the highest score is kept, or the first one if scores are equal. MinHash
    finds candidates for near-duplicates; their actual similarity, the share of common eight-byte windows,
    must reach the threshold.
    """
    if kind == "semantic":
        _semantic(file, 0.95 if threshold is None else threshold, asked)
        return
    report = deduping.dedupe_file(
        file, kind, 0.7 if threshold is None else threshold, asked["compared"], asked["held_out"]
    )
    if asked["out"]:
        deduping.write_kept(report, asked["out"])
    if asked["as_json"]:
        click.echo(msgspec.json.encode(report))
    else:
        click.echo("\n".join(_lines(report, asked["out"])))


def _lines(report: DedupeReport, out: Path | None) -> Iterator[str]:
    for dropped in report.dropped[:shown_rows]:
        place = f"line {dropped.of_line:,}"
        if dropped.of_file != report.file:
            place = f"{dropped.of_file}:{dropped.of_line}"
        yield f"line {dropped.line:,}   like {place}   {dropped.likeness:.2f}"
    if len(report.dropped) > shown_rows:
        yield f"… and {len(report.dropped) - shown_rows:,} more: --json lists all"
    held = f", {report.held_out:,} of them held out" if report.held_out else ""
    went = "repeat others" if out is None else f"dropped; {report.kept:,} written to {out}"
    yield f"{words.plural(report.rows, 'row')}, {len(report.dropped):,} {went}{held}"
    if out is None and report.dropped:
        yield "nothing was written; --out FILE writes the rows that stay"


def _semantic(file: Path, threshold: float, asked: dict[str, Any]) -> None:
    # A wrong threshold would delete good rows: lexical similarity has a fixed meaning, embeddings do not.
    if asked["out"]:
        raise UsageError(
            "--kind semantic reports only: what is near in meaning differs from corpus to corpus"
        )
    if asked["held_out"]:
        raise UsageError("--kind semantic compares the rows of one file; leave out --held-out")
    # Pairs of lines only; what to do about them is the user's decision.
    texts = RowTexts(file, asked["compared"])
    pairs = meaning.alike(texts, meaning.SentenceEmbedder(asked["model"]), threshold)
    if asked["as_json"]:
        click.echo(msgspec.json.encode({"file": str(file), "threshold": threshold, "pairs": pairs}))
        return
    for pair in pairs[:shown_rows]:
        click.echo(f"line {pair.line:,}   means what line {pair.of_line:,} means   {pair.likeness:.3f}")
    if len(pairs) > shown_rows:
        click.echo(f"… and {len(pairs) - shown_rows:,} more: --json lists all")
    click.echo(
        f"{words.plural(len(texts), 'row')}, {words.plural(len(pairs), 'pair')} of one meaning; a report only"
    )
