"""Texts compared line by line: unified hunks for people."""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path

import msgspec

largest_text_bytes = 1 << 20
"""Longer texts are not compared line by line: a person did not write them."""
context_lines = 2


class TextDifference(msgspec.Struct, frozen=True, kw_only=True):
    """How one text became another."""

    hunks: tuple[str, ...] = ()
    """Lines of a unified diff: `@@` heads, then lines that begin with ' ', '-' or '+'."""
    added: int = 0
    """Lines."""
    removed: int = 0
    note: str = ""
    """Why there are no hunks."""


def compare_texts(old: str, new: str, context: int = context_lines) -> TextDifference:
    """The hunks that lead from one text to the other."""
    lines = unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=context)
    hunks = tuple(lines)[2:]
    return TextDifference(
        hunks=hunks,
        added=sum(line.startswith("+") for line in hunks),
        removed=sum(line.startswith("-") for line in hunks),
        note="" if hunks else "only line ends differ",
    )


def compare_files(old: Path | None, new: Path | None) -> TextDifference:
    """The hunks between two files; a note instead when a text is not kept, not text, or too long."""
    if old is None or new is None:
        which = "either text" if old is new else "the old text" if old is None else "the new text"
        return TextDifference(note=f"{which} is not kept here")
    if max(old.stat().st_size, new.stat().st_size) > largest_text_bytes:
        return TextDifference(note=f"longer than {largest_text_bytes >> 20} MiB: not compared line by line")
    try:
        return compare_texts(old.read_text(encoding="utf-8"), new.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        return TextDifference(note="not text")
