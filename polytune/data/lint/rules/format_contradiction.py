"""format-contradiction: the prompt demands a form of answer that the target does not have.

A model trained on such rows learns to ignore the demand. Only firm demands count (see `_demands`), and only
two forms: JSON, and code without other text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from polytune.data.lint.rules._demands import Demand, demand, nothing, standing_demand
from polytune.data.lint.rules.interface import LintBlock, Rule, opening
from polytune.data.reading import Row
from polytune.formats.interface import Finding

unfence = "Take the answer out of its fence, or ask for a code block."
_decoder = msgspec.json.Decoder()
_fence = re.compile(r"^[ \t]*(?:```|~~~)[^\n`]*$", re.MULTILINE)
_block = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)
_phrase = re.compile(
    r"(?:sure|certainly|of course|absolutely|here(?:'s| is| are)|below is|the (?:following|above|code below)"
    r"|this (?:code|pattern|script|function|query|program|snippet|creates|will|is)"
    r"|i(?:'ve|'ll|'m| have| will| hope)"
    r"|note(?: that)?|explanation|let me|hope this|feel free|in this (?:code|example|pattern)|you can)\b",
    re.IGNORECASE,
)
_sentence = re.compile(r"[A-Z][a-z']*,?(?: [a-z0-9',-]+| [A-Z][A-Za-z]*| \([a-z ]+\)){4,}[.:!?]?")
_comment = ("//", "#", "--", "/*", "*", "%", ";", '"', "'''", "<!--", "(*")


class FormatContradiction(Rule):
    """Compares the demands of the system prompt and of the user's last text with the answer."""

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
            if holds_json(row.answer):
                return None
            what = f"the prompt asks for JSON; the target holds none: {opening(row.answer)}"
            return self.finding(row, row.answer_path, what)
        return self._code(row, wanted) if wanted.code else None

    def _json(self, row: Row, wanted: Demand) -> Finding | None:
        answer = row.answer
        if is_json(answer, lines=wanted.json_lines):
            return None
        if is_fenced(answer):
            inside = outside_fences(answer) == "" and holds_json(answer)
            if inside and wanted.fences:
                return None
            if inside:
                what = "the prompt asks for JSON; the target puts it in a code fence"
                return self.finding(row, row.answer_path, what, fix=unfence)
        if holds_json(answer):
            what = f"the prompt asks for JSON; the target has other text beside it: {opening(answer)}"
        else:
            reason = json_error(answer)
            what = f"the prompt asks for JSON; the target is none ({reason}): {opening(answer)}"
        return self.finding(row, row.answer_path, what)

    def _code(self, row: Row, wanted: Demand) -> Finding | None:
        answer = row.answer
        if is_fenced(answer):
            if not wanted.fences:
                what = "the prompt asks for code only; the target stands in a code fence"
                return self.finding(row, row.answer_path, what, fix=unfence)
            beside = outside_fences(answer)
            if not beside:
                return None
            what = f"the prompt asks for code only; the target has text beside it: {opening(beside)}"
            return self.finding(row, row.answer_path, what)
        prose = prose_in_code(answer)
        if not prose:
            return None
        what = f"the prompt asks for code only; the target has prose: {opening(prose)}"
        return self.finding(row, row.answer_path, what)


def json_error(text: str) -> str:
    """Why a text is not a JSON value; '' when it is one."""
    try:
        _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        return str(error).removeprefix("JSON is malformed: ")
    except RecursionError:
        return "nested too deeply"
    return ""


def is_json(text: str, *, lines: bool = False) -> bool:
    """Whether the whole text is one JSON value, or with `lines` one value per line."""
    if lines:
        return all(not json_error(line) for line in text.splitlines() if line.strip())
    return not json_error(text)


def holds_json(text: str) -> bool:
    """Whether a text contains an object or array anywhere, in a code fence or not."""
    if is_json(text) or any(is_json(block) for block in _block.findall(text)):
        return True
    for first, last in ("{}", "[]"):
        start, end = text.find(first), text.rfind(last)
        if 0 <= start < end and is_json(text[start : end + 1]):
            return True
    return False


def is_fenced(text: str) -> bool:
    """Whether a text has a code fence on a line of its own."""
    return "```" in text and bool(_fence.search(text))


def outside_fences(text: str) -> str:
    """The part of a text outside its code fences."""
    return _block.sub("", text).strip()


def prose_in_code(text: str) -> str:
    """The first or last line of a text if it is a sentence and not code; '' when both may be code.

    The lines in between are ignored: they may belong to a docstring or a long string.
    """
    text = text.strip()
    for line in (text.partition("\n")[0].rstrip(), text.rpartition("\n")[2].lstrip()):
        if not line.startswith(_comment) and _is_prose(line.replace("\u2019", "'")):
            return line
    return ""


def _is_prose(line: str) -> bool:
    if _sentence.fullmatch(line):
        return True
    return line.endswith((".", ":", "!", "?")) and _phrase.match(line) is not None
