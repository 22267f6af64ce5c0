"""duplicate-row: system prompt, prompt and answer repeat an earlier row of the file, ignoring whitespace."""

from __future__ import annotations

from collections.abc import Iterator

from polytune.data.first_seen import RepeatedPrompt
from polytune.data.lint.rules.interface import LintBlock, Rule
from polytune.formats.interface import Finding


class DuplicateRow(Rule):
    """Names the first line with the same row."""

    name = "duplicate-row"
    severity = "warning"
    example = "the same prompt and completion on lines 3 and 9"
    fix = "Drop one of them, or keep it on purpose."
    compares = True

    def check(self, block: LintBlock) -> Iterator[Finding]:
        return iter(())

    def check_repeated(self, row: RepeatedPrompt) -> Finding | None:
        return self.finding_at(row.line, "", f"repeats the row of line {row.pair}") if row.pair else None
