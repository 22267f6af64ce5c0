"""reasoning-left-in: the target still contains the teacher's reasoning, including its tags."""

from __future__ import annotations

import re
from collections.abc import Iterator

from polytune.data.lint.rules.interface import Hit, LintBlock, Rule, around
from polytune.formats.interface import Finding

_tags = re.compile(
    rb"<(?:/?(?:think|thinking|thought|thoughts|reasoning|scratchpad|inner_monologue|internal_monologue|antml:thinking)>"
    rb"|\|channel\|>\s*analysis|\|begin_of_thought\|>|\|end_of_thought\|>)"
)
_bracketed = re.compile(rb"\[/?think\]")


class ReasoningLeftIn(Rule):
    """Ignores a tag that the prompt names, and a tag in code or backticks, where it is only talked about."""

    name = "reasoning-left-in"
    severity = "warning"
    example = "assistant: <think>The user wants...</think> Here is"
    fix = "Strip the reasoning from the target, or ask for the tag in the prompt."

    def check(self, block: LintBlock) -> Iterator[Finding]:
        told = set()
        for pattern in (_tags, _bracketed):
            for hit in block.hits(pattern, block.lowered):
                if hit.row.line not in told and hit.is_answer and self._is_left_in(block, hit):
                    told.add(hit.row.line)
                    text = hit.passage.text
                    at = max(0, text.lower().find(hit.text.lower()))
                    what = f"{hit.text} in {around(text, at, at + len(hit.text))}"
                    yield self.finding(hit.row, hit.passage.field, what)

    def _is_left_in(self, block: LintBlock, hit: Hit) -> bool:
        tag = hit.text.lower().strip("</>[]|")
        row, text = hit.row, hit.passage.text
        if any(tag in asked.lower() for asked in (row.system, row.prompt) if asked):
            return False
        before = text[: max(0, text.lower().find(hit.text.lower()))]
        beside = block.content[hit.start - 1 : hit.start]
        return beside not in (b"`", b'"', b"'") and before.count("```") % 2 == 0
