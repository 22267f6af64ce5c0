"""`diff`: compares the rows of two files, matched by system prompt and prompt, in any layout and order."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec

from polytune.data.first_seen import row_hashes
from polytune.data.lines import blocks
from polytune.data.reading import Row, rows_in

shown_characters = 100


class RowChange(msgspec.Struct, frozen=True, kw_only=True):
    """A row that was added, removed, or has another answer."""

    line: int
    """The line in the second file; for a removed row, in the first file."""
    was_line: int | None = None
    """The line in the first file, for a row with another answer."""
    prompt: str
    """Its beginning."""


class RowsDiff(msgspec.Struct, frozen=True, kw_only=True):
    """How the second file differs from the first."""

    a: str
    b: str
    rows_a: int
    rows_b: int
    same: int
    """Rows in both files, ignoring whitespace, layout and order."""
    added: int
    removed: int
    changed: int
    """Rows of the second file whose prompts have another answer in the first file."""
    bad: int
    """Lines in either file that are not rows; they are not compared."""
    first_added: tuple[RowChange, ...]
    first_removed: tuple[RowChange, ...]
    first_changed: tuple[RowChange, ...]

    @property
    def is_same(self) -> bool:
        """Whether no row was added, removed or changed."""
        return not (self.added or self.removed or self.changed)


class _ComparedFile:
    """One file: its rows by hash, and the first line of each prompt."""

    def __init__(self, path: Path) -> None:
        self.rows = self.bad = 0
        self.pairs: Counter[int] = Counter()
        self.lines: dict[int, tuple[int, int]] = {}
        """By pair: its first line, and its prompt."""
        self.prompts: dict[int, int] = {}
        """By prompt: its first line."""
        for block in blocks(path):
            found = rows_in(block)
            rows = [row for row in found if isinstance(row, Row)]
            self.rows += len(rows)
            self.bad += len(found) - len(rows)
            hashes = row_hashes(rows)
            self.pairs.update(hashes.pairs)
            for line, prompt, pair in zip(hashes.lines, hashes.prompts, hashes.pairs, strict=True):
                self.lines.setdefault(pair, (line, prompt))
                self.prompts.setdefault(prompt, line)


def compare_rows(a: Path, b: Path, examples: int = 3) -> RowsDiff:
    """How the rows of `b` differ from those of `a`; rows of plain text are not compared.

    Raises DataError when a file cannot be read.
    """
    old, new = _ComparedFile(a), _ComparedFile(b)
    # Counters, not sets: a row that occurs twice in one file and once in the other is a difference.
    gone, come = old.pairs - new.pairs, new.pairs - old.pairs
    changed = {pair: count for pair, count in come.items() if new.lines[pair][1] in old.prompts}
    rewritten = {new.lines[pair][1] for pair in changed}
    removed = {pair: count for pair, count in gone.items() if old.lines[pair][1] not in rewritten}
    added = {pair: count for pair, count in come.items() if pair not in changed}
    texts_a = _beginnings(a, sorted(old.lines[pair][0] for pair in removed)[:examples])
    news = {*sorted(new.lines[pair][0] for pair in added)[:examples]}
    others = {*sorted(new.lines[pair][0] for pair in changed)[:examples]}
    texts_b = _beginnings(b, sorted(news | others))
    was = {new.lines[pair][0]: old.prompts[new.lines[pair][1]] for pair in changed}
    return RowsDiff(
        a=str(a),
        b=str(b),
        rows_a=old.rows,
        rows_b=new.rows,
        same=(old.pairs & new.pairs).total(),
        added=sum(added.values()),
        removed=sum(removed.values()),
        changed=sum(changed.values()),
        bad=old.bad + new.bad,
        first_added=tuple(RowChange(line=line, prompt=texts_b[line]) for line in sorted(news)),
        first_removed=tuple(RowChange(line=line, prompt=texts_a[line]) for line in sorted(texts_a)),
        first_changed=tuple(
            RowChange(line=line, was_line=was[line], prompt=texts_b[line]) for line in sorted(others)
        ),
    )


def _beginnings(path: Path, lines: list[int]) -> dict[int, str]:
    """The beginnings of the prompts on these lines."""
    found: dict[int, str] = {}
    wanted = set(lines)
    for block in blocks(path) if wanted else ():
        for row in rows_in(block) if any(block.first <= line for line in wanted) else ():
            if row.line in wanted and isinstance(row, Row):
                found[row.line] = " ".join(row.prompt.split())[:shown_characters]
                wanted.discard(row.line)
        if not wanted:
            break
    return found
