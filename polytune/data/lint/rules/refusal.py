"""refusal: the target declines to answer; a few such rows teach a model to decline.

Rows that should refuse can be allowed by id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from polytune.data.lint.rules.interface import LintBlock, Rule, opening
from polytune.formats.interface import Finding

_verb = (
    r"(?:help(?!\s+but)|assist|provide|comply|fulfill?|do\s+(?:that|this)|answer|generate|create|write|produce"
    r"|discuss|support|engage|share|continue|complete|give|offer|respond|process|accommodate|participate"
    r"|access|browse|open|see|view)"
)
_unable = (
    r"I(?:\s+(?:cannot|can\s+not|can't|could\s+not|will\s+not|won't|am\s+unable\s+to|am\s+not\s+able\s+to"
    r"|must\s+decline\s+to|have\s+to\s+decline\s+to)|'m\s+(?:unable|not\s+able)\s+to)"
    r"\s+(?:\w+ly\s+)?(?:be\s+able\s+to\s+)?" + _verb
)
_pause = r"[\s,.!;:\u2014\u2013-]*"
_sorry = (
    r"(?:(?:I(?:'m|\s+am)\s+(?:\w+\s+)?sorry|sorry|I\s+apologi[sz]e|(?:my\s+)?apologies|unfortunately|regrettably"
    r"|I\s+understand[^.!?\n]{0,60}|thank\s+you[^.!?\n]{0,60})"
    rf"{_pause}(?:(?:but|however|for\s+the\s+inconvenience)\b)?{_pause})?"
)
_machine = r"as\s+an?\s+(?:ai|artificial\s+intelligence|(?:large\s+)?language\s+model)\b"
_refusal = re.compile(
    rf"[\s\"'\u201c*]*{_sorry}(?:"
    rf"(?:{_machine}[^.!?\n]{{0,60}}?[\s,]*)?{_unable}\b|{_machine}"
    r"|(?:this|that|your)\s+request\s+(?:violates|goes\s+against|is\s+against|cannot\s+be)"
    r"|I\s+(?:must|have\s+to)\s+(?:respectfully\s+)?decline\b"
    r"|I(?:'m|\s+am)\s+not\s+comfortable|I\s+don't\s+feel\s+comfortable"
    r"|I\s+don't\s+have\s+(?:access|the\s+ability|the\s+capability)\s+to\b)",
    re.IGNORECASE,
)
_beginnings = frozenset("IiSsAaUuMmTtYyRr\"'\u201c*")
_looked_at = 300


class Refusal(Rule):
    """Checks how the answer begins; an apology that goes on to help is not a refusal."""

    name = "refusal"
    severity = "warning"
    example = "assistant: I'm sorry, but I can't help with that."
    fix = "Ask again or drop the row; allow it by id where refusing is the lesson."

    def check(self, block: LintBlock) -> Iterator[Finding]:
        for row in block.rows:
            answer = row.answer
            # The pattern is expensive; the first character rules out most answers.
            if answer[:1] not in _beginnings and answer.lstrip()[:1] not in _beginnings:
                continue
            if row.prompt and _refusal.match(answer[:_looked_at].replace("\u2019", "'")):
                yield self.finding(row, row.answer_path, f"the answer refuses: {opening(answer)}")
