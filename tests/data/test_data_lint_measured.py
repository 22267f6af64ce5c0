"""What lint rules state about their recall in their docstrings is what is measured on the labelled texts."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from polytune.data.lint.lint import Lint
from polytune.data.lint.rules.language_drift import LanguageDrift, drift
from polytune.data.lint.rules.personal_data import PersonalData
from polytune.extras import install_command
from tests.data.data_gallery import Case
from tests.data.labelled_personal import CARD, EMAIL, NOT_PERSONAL, PERSONAL, PHONE, SSN

Exchange = tuple[str, str]


class Languages(msgspec.Struct):
    """The labelled texts for language-drift."""

    exchanges: dict[str, tuple[Exchange, ...]]
    not_prose: tuple[Exchange, ...]


languages = msgspec.yaml.decode(
    Path(__file__).with_name("labelled_languages.yaml").read_bytes(), type=Languages
)


def states(rule: type, figures: str) -> bool:
    """Whether a rule's docstring says so, line breaks aside."""
    return figures in " ".join((rule.__doc__ or "").split())


def test_language_drift_states_its_recall() -> None:
    """Sentences in two languages, a few words in two languages, and exchanges without drift."""
    exchanges = languages.exchanges
    crossed = [(one, other) for one in exchanges for other in exchanges if one != other]
    found = Counter(
        number == 2
        for one, other in crossed
        for number in range(3)
        if drift(exchanges[one][number][0], exchanges[other][number][1])
    )
    same = [*(pair for pairs in exchanges.values() for pair in pairs), *languages.not_prose]
    wrong = sum(drift(question, answer) is not None for question, answer in same)

    assert states(LanguageDrift, f"found {found[False]} of {2 * len(crossed)} pairs of sentences")
    assert states(LanguageDrift, f"{found[True]} of {len(crossed)} pairs of a few words")
    assert states(LanguageDrift, f"of {len(same)} exchanges without drift it reported {wrong}")
    assert states(LanguageDrift, f"in {len(exchanges)} languages")


def kinds_found(folder: Path, texts: list[str]) -> dict[int, set[str]]:
    """The kinds of personal data that the rule reports, by the text's number."""
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{Case('Say it.', text).line()}\n" for text in texts))
    found: dict[int, set[str]] = {}
    for each in Lint(path, rules=["personal-data"]):
        found.setdefault(each.finding.line - 1, set()).add(each.finding.message.partition(":")[0])
    return found


def test_personal_data_states_its_recall(tmp_path: Path) -> None:
    """Each kind by itself, all together, and texts that only look like it."""
    found = kinds_found(tmp_path, [text for text, _ in PERSONAL])
    hits = Counter(kind for number, (_, kind) in enumerate(PERSONAL) if kind in found.get(number, ()))
    all_of = Counter(kind for _, kind in PERSONAL)
    wrong = len(kinds_found(tmp_path, list(NOT_PERSONAL)))

    assert states(PersonalData, f"of {len(PERSONAL)} texts with personal data it found {hits.total()}")
    assert states(PersonalData, f"e-mail addresses {hits[EMAIL]} of {all_of[EMAIL]}")
    assert states(PersonalData, f"telephone numbers {hits[PHONE]} of {all_of[PHONE]}")
    assert states(PersonalData, f"card numbers {hits[CARD]} of {all_of[CARD]}")
    assert states(PersonalData, f"US social security numbers {hits[SSN]} of {all_of[SSN]}")
    assert states(PersonalData, f"of {len(NOT_PERSONAL)} texts without any it reported {wrong}")


@pytest.mark.parametrize(
    ("rule", "modules", "what"),
    [
        ("language-drift", ["py3langid"], f"all rows: run `{install_command('lint', 'py3langid')}`"),
        (
            "personal-data",
            ["phonenumbers"],
            f"telephone numbers: run `{install_command('lint', 'phonenumbers')}`",
        ),
        (
            "personal-data",
            ["phonenumbers", "stdnum"],
            "telephone numbers, card and social security numbers: "
            f"run `{install_command('lint', 'phonenumbers', 'python-stdnum')}`",
        ),
        ("refusal", ["py3langid", "phonenumbers", "stdnum"], None),
    ],
)
def test_a_rule_without_its_library_says_what_is_not_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str, modules: list[str], what: str | None
) -> None:
    """It finds nothing that needs the library, names what it did not look for, and how to install it."""
    for name in modules:
        monkeypatch.setitem(sys.modules, name, None)
    path = tmp_path / "rows.jsonl"
    path.write_text(Case("Wo ist das Telefon?", "Call 415-555-2671 now, and then the office.").line() + "\n")
    lint = Lint(path, rules=[rule])

    assert list(lint) == []
    assert lint.unchecked == ({} if what is None else {rule: what})
