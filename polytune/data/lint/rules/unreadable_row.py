"""unreadable-row: a line is not a row in any known layout."""

from __future__ import annotations

from collections.abc import Iterator

from polytune.data.lint.rules.interface import LintBlock, Rule
from polytune.formats.interface import Finding


class UnreadableRow(Rule):
    """Reports the reason, and the place in the line."""

    name = "unreadable-row"
    severity = "error"
    example = '{"prompt": 3, "completion": "x"}'
    fix = "Write it as one of the known layouts has it, or drop the line."

    def check(self, block: LintBlock) -> Iterator[Finding]:
        for bad in block.bad:
            yield self.finding_at(bad.line, bad.path, bad.reason, fix=bad.fix)
