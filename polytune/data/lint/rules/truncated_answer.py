"""truncated-answer: the teacher reached its token limit, so the target ends in the middle."""

from __future__ import annotations

import re
from collections.abc import Iterator

from polytune.data.lint.rules.interface import LintBlock, Rule, opening
from polytune.data.reading import Row
from polytune.formats.interface import Finding

stopped_early = frozenset(
    {
        "length",
        "max_tokens",
        "max_output_tokens",
        "model_length",
        "token_limit",
        "model_context_window_exceeded",
    }
)
"""The stop reasons that mean this at OpenAI, Anthropic and Bedrock, Gemini and Mistral; in lower case."""
long_answer = 500
long_line = 60
_sentence = re.compile(r"[a-z0-9)\"'][.!?](?=[\s\"')]|$)")
_word = re.compile(r"\w[,-]?$")
_not_prose = re.compile(r"[=<>{}\[\]|`/\\_]|^\s*(?:[-*•#>|]|\d+[.)])")


class TruncatedAnswer(Rule):
    """Uses the stop reason if the row states one; otherwise checks how the answer ends."""

    name = "truncated-answer"
    severity = "error"
    example = '{"prompt": "...", "completion": "First, open the", "finish_reason": "length"}'
    fix = "Ask again with a larger token limit, or drop the row."

    def check(self, block: LintBlock) -> Iterator[Finding]:
        for row in block.rows:
            if row.finish and row.finish.lower() in stopped_early:
                what = f"the teacher stopped at its token limit ({row.finish})"
                yield self.finding(row, row.answer_path, what)
            elif row.answer:
                said = self._ending(row)
                if said:
                    yield self.finding(row, row.answer_path, said, severity="warning")

    def _ending(self, row: Row) -> str:
        answer = row.answer
        if (
            "```" in answer
            and answer.count("```") % 2
            and answer.lstrip().count("\n```") + answer.startswith("```") == 1
        ):
            return "a code fence is opened and not closed: the answer seems cut off"
        end = answer[-1]
        if len(answer) < long_answer or not (end.isalnum() or end in ",- \n"):
            return ""
        if not _word.search(answer.rstrip()[-2:]):
            return ""
        last = answer.rstrip().rpartition("\n")[2]
        if len(last) < long_line or _not_prose.search(last) or len(_sentence.findall(answer)) < 3:
            return ""
        return f"the answer ends in the middle of a sentence: {opening(last[-50:])}"
