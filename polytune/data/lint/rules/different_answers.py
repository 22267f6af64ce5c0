"""different-answers: the same prompt with different answers, of which a model can learn only one."""

from __future__ import annotations

from collections.abc import Iterator

from polytune.data.first_seen import RepeatedPrompt
from polytune.data.lint.rules.interface import LintBlock, Rule
from polytune.formats.interface import Finding


class DifferentAnswers(Rule):
    """Names the first line with the same system prompt and prompt; exact copies of a row do not count."""

    name = "different-answers"
    severity = "warning"
    example = "prompt: 2+2? answers: 4 on line 3, 5 on line 9"
    fix = "Keep the better answer, unless several are wanted, as for creative tasks."
    compares = True

    def check(self, block: LintBlock) -> Iterator[Finding]:
        return iter(())

    def check_repeated(self, row: RepeatedPrompt) -> Finding | None:
        if row.pair:
            return None
        return self.finding_at(row.line, "", f"line {row.prompt} has the same prompt and another answer")
