"""row-too-long: training would truncate or reject the row, which exceeds the base model's token limit."""

from __future__ import annotations

from collections.abc import Iterator

from polytune.data.lint.rules.interface import LintBlock, LintOptions, Rule
from polytune.formats.interface import Finding


class RowTooLong(Rule):
    """Estimates tokens from characters; without a base model there is no limit."""

    name = "row-too-long"
    severity = "error"
    example = "a row of 900,000 characters for a base model that takes 32,000 tokens"
    fix = "Shorten the row, or drop it."

    def __init__(self, options: LintOptions) -> None:
        super().__init__(options)
        limits = options.base_model.limits if options.base_model else None
        self._limits = limits if limits and limits.max_tokens_per_row else None

    def check(self, block: LintBlock) -> Iterator[Finding]:
        if self._limits is None or self._limits.max_tokens_per_row is None or self.options.base_model is None:
            return
        most, per_token = self._limits.max_tokens_per_row, self._limits.chars_per_token
        for row in block.rows:
            length = sum([len(passage.text) for passage in row.passages])
            if length > most * per_token:
                tokens = f"about {length / per_token:,.0f} tokens (estimated)"
                yield self.finding(
                    row, "", f"{tokens}; {self.options.base_model.title} takes at most {most:,}"
                )
