"""Line-by-line comparison of texts: unified diff hunks for people to read."""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path

import msgspec

largest_text_bytes = 1 << 20
"""Longer texts are not compared line by line: they are data rather than written by a person."""
# Two lines locate a change; prompts have long lines, so the usual three would hide the changes.
context_lines = 2


class TextDifference(msgspec.Struct, frozen=True, kw_only=True):
    """The differences between two texts."""

    hunks: tuple[str, ...] = ()
    """Lines of a unified diff: `@@` headers, then lines that begin with ' ', '-' or '+'."""
    added: int = 0
    """Number of lines."""
    removed: int = 0
    note: str = ""
    """Why there are no hunks."""


def compare_texts(old: str, new: str, context: int = context_lines) -> TextDifference:
    """Return the hunks that turn one text into the other."""
    lines = unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=context)
    # The first two lines are the `---` and `+++` headers.
    hunks = tuple(lines)[2:]
    return TextDifference(
        hunks=hunks,
        added=sum(line.startswith("+") for line in hunks),
        removed=sum(line.startswith("-") for line in hunks),
        note="" if hunks else "only line ends differ",
    )


def compare_files(old: Path | None, new: Path | None) -> TextDifference:
    """Return the hunks between two files, or a note when a text is not stored, not text, or too long."""
    if old is None or new is None:
        which = "either text" if old is new else "the old text" if old is None else "the new text"
        return TextDifference(note=f"{which} is not kept here")
    if max(old.stat().st_size, new.stat().st_size) > largest_text_bytes:
        return TextDifference(note=f"longer than {largest_text_bytes >> 20} MiB: not compared line by line")
    try:
        return compare_texts(old.read_text(encoding="utf-8"), new.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        return TextDifference(note="not text")
