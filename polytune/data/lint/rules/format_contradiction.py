"""format-contradiction: the prompt demands a form of answer that the target does not have.

A model trained on such rows learns that the demand means nothing. Only firm demands count (see `_demands`):
JSON, and code and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

from polytune.data.lint.rules import _forms as forms
from polytune.data.lint.rules._demands import Demand, demand, nothing, standing_demand
from polytune.data.lint.rules.interface import LintBlock, Rule, opening
from polytune.data.reading import Row
from polytune.formats.interface import Finding

unfence = "Take the answer out of its fence, or ask for a code block."


class FormatContradiction(Rule):
    """Reads the system prompt and the user's last words, then the answer."""

    name = "format-contradiction"
    severity = "error"
    example = "system: Answer with a JSON object. assistant: {'name': terminal}"
    fix = "Correct the target or the demand, or drop the row."

    def check(self, block: LintBlock) -> Iterator[Finding]:
        for row in block.rows:
            if not row.prompt or not row.answer:
                continue
            wanted = demand(row.asked)
            if row.system:
                standing = standing_demand(row.system)
                wanted = standing.together(wanted) if wanted is not nothing else standing
            if wanted is not nothing:
                finding = self._judged(row, wanted)
                if finding is not None:
                    yield finding

    def _judged(self, row: Row, wanted: Demand) -> Finding | None:
        if wanted.json:
            return self._json(row, wanted)
        if wanted.holds_json:
            if forms.holds_json(row.answer):
                return None
            what = f"the prompt asks for JSON; the target holds none: {opening(row.answer)}"
            return self.finding(row, row.answer_path, what)
        return self._code(row, wanted) if wanted.code else None

    def _json(self, row: Row, wanted: Demand) -> Finding | None:
        answer = row.answer
        if forms.is_json(answer, lines=wanted.json_lines):
            return None
        if forms.is_fenced(answer):
            inside = forms.outside_fences(answer) == "" and forms.holds_json(answer)
            if inside and wanted.fences:
                return None
            if inside:
                what = "the prompt asks for JSON; the target puts it in a code fence"
                return self.finding(row, row.answer_path, what, fix=unfence)
        if forms.holds_json(answer):
            what = f"the prompt asks for JSON; the target has other text beside it: {opening(answer)}"
        else:
            reason = forms.json_error(answer)
            what = f"the prompt asks for JSON; the target is none ({reason}): {opening(answer)}"
        return self.finding(row, row.answer_path, what)

    def _code(self, row: Row, wanted: Demand) -> Finding | None:
        answer = row.answer
        if forms.is_fenced(answer):
            if not wanted.fences:
                what = "the prompt asks for code only; the target stands in a code fence"
                return self.finding(row, row.answer_path, what, fix=unfence)
            beside = forms.outside_fences(answer)
            if not beside:
                return None
            what = f"the prompt asks for code only; the target has text beside it: {opening(beside)}"
            return self.finding(row, row.answer_path, what)
        prose = forms.prose_in_code(answer)
        if not prose:
            return None
        what = f"the prompt asks for code only; the target has prose: {opening(prose)}"
        return self.finding(row, row.answer_path, what)
