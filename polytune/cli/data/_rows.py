"""Rows on the screen: every text under its role, long ones cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click
import msgspec

shown_lines = 12
shown_characters = 800


def show(rows: Sequence[Any], *, whole: bool, as_json: bool) -> None:
    """The rows are on standard output."""
    if as_json:
        click.echo(msgspec.json.encode(rows))
        return
    for number, row in enumerate(rows):
        click.echo("\n".join(_lines(row, whole=whole)) + "\n" * (number < len(rows) - 1))


def _lines(row: Any, *, whole: bool) -> Iterator[str]:
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
    kept = text[:shown_characters].splitlines()[:shown_lines]
    return [*kept, f"… {len(text) - sum(len(line) + 1 for line in kept):,} more characters: --whole"]
