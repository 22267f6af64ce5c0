"""duplicate-row: system prompt, prompt and answer repeat an earlier row of the file, whitespace aside."""

from __future__ import annotations

from collections.abc import Iterator

from polytune.data.first_seen import Met
from polytune.data.lint.rules.interface import Page, Rule
from polytune.formats.interface import Finding


class DuplicateRow(Rule):
    """Names the line on which the row stands first."""

    name = "duplicate-row"
    severity = "warning"
    example = "the same prompt and completion on lines 3 and 9"
    fix = "Drop one of them, or keep it on purpose."
    compares = True

    def look(self, page: Page) -> Iterator[Finding]:
        return iter(())

    def meet(self, row: Met) -> Finding | None:
        return self.said(row.line, "", f"repeats the row of line {row.pair}") if row.pair else None
