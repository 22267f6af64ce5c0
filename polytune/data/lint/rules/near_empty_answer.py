"""near-empty-answer: the target is empty, only punctuation, or a placeholder."""

from __future__ import annotations

from collections.abc import Iterator

from polytune.data.lint.rules.interface import LintBlock, Rule, opening
from polytune.formats.interface import Finding

placeholders = frozenset(
    {
        *(
            "n/a",
            "tbd",
            "todo",
            "tba",
            "fixme",
            "undefined",
            "null",
            "nan",
            "placeholder",
            "lorem ipsum",
            "...",
        ),
        *(
            "no answer",
            "no response",
            "no output",
            "empty",
            "[empty]",
            "(empty)",
            "<empty>",
            "[answer]",
            "<answer>",
        ),
        *("no content", "[no response]", "error", "[object object]", "answer here", "insert answer here"),
    }
)
longest = 24
punctuation = " .,;:!?-\u2013\u2014_*#\u2026\"'`()[]<>/\\|\t\r\n"


class NearEmptyAnswer(Rule):
    """Short answers are fine: a label, a number, a yes. An empty one is an error, a placeholder a warning."""

    name = "near-empty-answer"
    severity = "error"
    example = '{"prompt": "...", "completion": "TODO"}'
    fix = "Write the answer, or drop the row."

    def check(self, block: LintBlock) -> Iterator[Finding]:
        for row in block.rows:
            answer = row.answer
            if len(answer) > longest or row.other:
                continue
            said = answer.strip()
            if not said:
                yield self.finding(row, row.answer_path, "the answer is empty")
            elif not said.strip(punctuation):
                what = f"the answer is nothing but {opening(said)}"
                yield self.finding(row, row.answer_path, what, severity="warning")
            elif said.lower().strip(" .!") in placeholders and not self._is_label(row.asked, said):
                what = f"the answer is a placeholder: {opening(said)}"
                yield self.finding(row, row.answer_path, what, severity="warning")

    def _is_label(self, asked: str, said: str) -> bool:
        """Whether the prompt contains the same word, as classification tasks do."""
        return said.strip(" .!").lower() in asked.lower()
