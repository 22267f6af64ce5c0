"""language-drift: the answer is in another language than the prompt, which did not ask for that.

py3langid distinguishes 140 languages. The rule reports nothing when the language of either text is unclear,
as with code, lists and texts of a few words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import Protocol

from polytune.data.lint.rules.interface import LintBlock, Rule, opening
from polytune.data.reading import Row
from polytune.extras import install_command
from polytune.formats.interface import Finding

looked_at = 300
"""The number of characters of a text that are examined."""
least_confidence = 0.5
"""The minimum probability of a text's language."""
most_in_common = 0.1
"""The maximum probability that two texts have the same language, summed over all languages: closely related
languages are easily confused."""
least_letters = 0.7
"""The minimum share of letters and spaces, in bytes, of a text that counts as prose; code has fewer."""

_no_letters = bytes(byte for byte in range(33, 127) if not chr(byte).isalpha())
_languages_named = (
    r"translat\w* language bilingual multilingual localis\w+ localiz\w+ übersetz\w* tradu\w+ vertaal\w*"
    r" przetłumacz\w* english german deutsch\w* french francais français\w* spanish español\w* castellano"
    r" italian\w* portugu\w+ dutch nederlands polish polski\w* russian greek hebrew arabic hindi thai korean"
    r" japanese chinese mandarin inglés ingles anglais englisch\w* inglese inglês engels angielsk\w*"
)
_in_other_scripts = "翻译 翻譯 英語 英语 英文 中文 日本語 перевед перевод англий 번역 영어"
_asks_for_language = re.compile(
    rf"\b(?:{'|'.join(_languages_named.split())})\b|{'|'.join(_in_other_scripts.split())}", re.IGNORECASE
)


class LanguageDrift(Rule):
    """Compares the user's last text with the answer; a prompt that mentions languages may want another one.

    Measured on the exchanges of tests/data/labelled_languages.yaml in 15 languages, 2026-12: with the answer
    in another language than the question it found 406 of 420 pairs of sentences and 92 of 210 pairs of a few
    words; of 55 exchanges without drift it reported 0.
    """

    name = "language-drift"
    severity = "warning"
    example = "user: Wie spät ist es in Tokio? assistant: It is the middle of the night there."
    fix = "Answer in the language of the question, or say in the prompt which one to use."

    def unchecked(self) -> str:
        """All rows if py3langid is not installed; else ''."""
        return "" if find_spec("py3langid") else f"all rows: run `{install_command('lint', 'py3langid')}`"

    def check(self, block: LintBlock) -> Iterator[Finding]:
        if self.unchecked():
            return
        for row in block.rows:
            if not row.prompt or not row.answer:
                continue
            # Most rows of most files are English: a substring search is much cheaper than the model.
            if _plainly_english(row.answer) and _plainly_english(row.asked):
                continue
            finding = self._compared(row)
            if finding is not None:
                yield finding

    def _compared(self, row: Row) -> Finding | None:
        languages = drift(row.asked, row.answer)
        if languages is None or _asks_for_language.search(row.asked):
            return None
        if row.system and _mentions_languages(row.system):
            return None
        asked, answered = languages
        what = f"asked in '{asked}', answered in '{answered}': {opening(row.answer)}"
        return self.finding(row, row.answer_path, what)


def drift(asked: str, answered: str) -> tuple[str, str] | None:
    """The ISO 639 codes of two texts in different languages; None when they may be in the same one."""
    if not (_is_prose(answered) and _is_prose(asked)):
        return None
    answers, questions = languages_of(answered), languages_of(asked)
    answer, question = max(answers, key=answers.__getitem__), max(questions, key=questions.__getitem__)
    if answer == question or min(answers[answer], questions[question]) < least_confidence:
        return None
    in_common = sum(probability * answers.get(name, 0.0) for name, probability in questions.items())
    return (question, answer) if in_common < most_in_common else None


def languages_of(text: str) -> Mapping[str, float]:
    """The probability of each language, from the beginning of the text. Raises ModuleNotFoundError."""
    return dict(_identifier().rank(text[:looked_at]))


class _Identifier(Protocol):
    def rank(self, text: str) -> list[tuple[str, float]]: ...


@cache
def _identifier() -> _Identifier:
    """The model, loaded once per process: loading takes some tenths of a second."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier: _Identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return identifier


def _plainly_english(text: str) -> bool:
    return text.isascii() and (" the " in text or " with " in text or " of " in text)


def _is_prose(text: str) -> bool:
    content = text[:looked_at].encode(errors="replace")
    return len(content.translate(None, _no_letters)) >= least_letters * len(content) > 0


@lru_cache(maxsize=4096)
def _mentions_languages(system: str) -> bool:
    return _asks_for_language.search(system) is not None
