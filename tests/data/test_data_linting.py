"""Lint as a whole: every rule explains itself, any number of workers finds the same, ids let rows pass."""

from __future__ import annotations

import json
from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytune.base_models.interface import BASE_MODELS
from polytune.data.first_seen import FirstSeen, RowHashes
from polytune.data.lint.lint import Lint, RowFinding
from polytune.data.lint.rules._demands import demand
from polytune.data.lint.rules.interface import LintOptions
from polytune.data.lint.rules.language_drift import drift
from polytune.data.lint.rules.personal_data import is_card, is_phone, is_security_number
from polytune.errors import DataError
from polytune.registry import UnknownMember
from tests.data.data_gallery import GALLERY, Case
from tests.messages import matching, message

EVERY_CASE = [case for bad, good in GALLERY.values() for case in (*bad, *good)]


def rows(folder: Path, *lines: str) -> Path:
    """A file of these lines."""
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def row(prompt: str, answer: str, **more: object) -> str:
    """A line of prompt and completion."""
    return json.dumps({"prompt": prompt, "completion": answer, **more})


def places(found: list[RowFinding]) -> list[tuple[int, str, str]]:
    """Line, rule and severity of findings."""
    return [(each.finding.line, each.finding.rule, each.finding.severity) for each in found]


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_finds_the_same(tmp_path: Path, workers: int) -> None:
    """Findings over several blocks, repeats between blocks included, do not depend on who looked."""
    lines = [case.line() for case in EVERY_CASE]
    filler = [row(f"prompt {n}", "x" * 900) for n in range(2600)]
    path = rows(tmp_path, *lines, *filler, "{", *lines, *filler[:10])
    options = LintOptions(BASE_MODELS.get("nova-lite"), {"refusal": frozenset({"row-000000000000"})})

    alone = list(Lint(path, options, workers=0))
    together = Lint(path, options, workers=workers)

    assert list(together) == alone
    assert together.rows == len(lines) * 2 + len(filler) + 11
    assert {*GALLERY, "duplicate-row", "different-answers", "unreadable-row"} <= {
        each.finding.rule for each in alone
    }
    assert [each.finding.line for each in alone] == sorted(each.finding.line for each in alone)
    assert sum(each.finding.rule == "duplicate-row" for each in alone) >= len(lines) + 10


def test_repeats_name_the_first_line(tmp_path: Path) -> None:
    """A copy names the row, another answer the prompt; a copy of the second answer names that one."""
    path = rows(tmp_path, row("q", "a"), row("x", "y"), row("q", "b"), row("q ", "b\n"), row("q", "a"))

    found = [each.finding for each in Lint(path)]

    assert [(each.line, each.rule, each.message) for each in found] == [
        (3, "different-answers", message("data/line-asks-same-and-is-answered", line=1)),
        (4, "duplicate-row", message("data/row-of-line-once-more", line=3)),
        (5, "duplicate-row", message("data/row-of-line-once-more", line=1)),
    ]


def test_a_system_prompt_makes_another_prompt(tmp_path: Path) -> None:
    """The same question under two system prompts may have two answers."""
    path = rows(tmp_path, Case("q", "a", "s1").line(), Case("q", "b", "s2").line())

    assert list(Lint(path)) == []


def test_running_text_is_not_compared(tmp_path: Path) -> None:
    """Rows without a prompt have no answers to differ."""
    path = rows(tmp_path, '{"text": "one"}', '{"text": "two"}')

    assert list(Lint(path)) == []


@pytest.mark.parametrize(
    ("key", "reason"),
    [("finish_reason", "length"), ("stop_reason", "max_tokens"), ("stopReason", "MAX_TOKENS")],
)
def test_a_stated_stop_is_believed(tmp_path: Path, key: str, reason: str) -> None:
    """A row that says that its teacher hit the limit is an error; one that ended by itself is fine."""
    path = rows(tmp_path, row("q", "First,", **{key: reason}), row("r", "Done.", **{key: "end_turn"}))

    assert places(list(Lint(path))) == [(1, "truncated-answer", "error")]


def test_the_limit_is_the_base_models(tmp_path: Path) -> None:
    """A row above the model's tokens is an error; without a model, or for one that takes it, it is none."""
    path = rows(tmp_path, row("q", "word " * 30_000))

    assert places(list(Lint(path, LintOptions(BASE_MODELS.get("nova-lite"))))) == [
        (1, "row-too-long", "error")
    ]
    assert list(Lint(path)) == []


def test_the_worst_of_a_rule_is_its_severity(tmp_path: Path) -> None:
    """An empty answer is an error, a placeholder a warning."""
    path = rows(tmp_path, row("p", ""), row("q", "TODO"))

    assert places(list(Lint(path))) == [
        (1, "near-empty-answer", "error"),
        (2, "near-empty-answer", "warning"),
    ]


def test_messages_show_no_secrets(tmp_path: Path) -> None:
    """Of a key, a card and an address a message shows enough to find them and no more."""
    key = "AKIA" + "Q3EGRIZ7X2LM5TWN"
    path = rows(tmp_path, row("q", f"{key} jane.doe@acme-tools.com 4539 5787 6362 1486"))

    said = " ".join(each.finding.message for each in Lint(path))

    assert key not in said
    assert "jane.doe@" not in said
    assert "5787" not in said
    assert "AKIAQ3EG" in said


def test_one_finding_for_a_kind_in_a_text(tmp_path: Path) -> None:
    """Ten addresses in one answer are one finding; in prompt and answer they are two."""
    many = " ".join(f"a{n}@acme-tools.com" for n in range(10))
    path = rows(tmp_path, row("q", many), row(many, many))

    found = [(each.finding.line, each.finding.field) for each in Lint(path)]

    assert found == [(1, "completion"), (2, "prompt"), (2, "completion")] or found == [
        (1, "completion"),
        (2, "completion"),
        (2, "prompt"),
    ]


def test_places_hold_among_characters_of_many_bytes(tmp_path: Path) -> None:
    """Findings stand in their rows although texts before them are not ASCII."""
    lines = [row(f"prompt {n} äöü 日本", "é" * n) for n in range(1, 40)]
    path = rows(tmp_path, *lines, row("q", "<think>ä</think>"), *lines[:0])

    assert places(list(Lint(path, rules=["reasoning-left-in"]))) == [(40, "reasoning-left-in", "warning")]


def test_allowed_rows_are_counted(tmp_path: Path) -> None:
    """By stated id and by key; what compares rows obeys, too; other rules still look at the row."""
    path = rows(tmp_path, row("q", "TODO", id="r1"), row("q", "N/A"), row("p", "", id="r1"))
    first = [each.row for each in Lint(path)]
    allow = {"near-empty-answer": frozenset({"r1"}), "different-answers": frozenset({first[2]})}

    lint = Lint(path, LintOptions(allow=allow))

    assert places(list(lint)) == [(2, "near-empty-answer", "warning")]
    assert lint.allowed == 3


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """A missing file and an unknown rule are refused."""
    with pytest.raises(DataError, match=r"absent\.jsonl: " + matching("general/cannot-be-read")):
        list(Lint(tmp_path / "absent.jsonl"))
    with pytest.raises(UnknownMember, match="unknown lint rule 'typo'"):
        Lint(tmp_path / "absent.jsonl", rules=["typo"])


@pytest.mark.parametrize(
    "text",
    [
        "Given the following functions, please respond with a JSON for a function call with its arguments.",
        "You are a bot. You must always reply using a valid JSON object.",
        "The output should be formatted as a JSON object.",
        "Format your answer as JSON.",
        "Please provide your response in JSON format.",
        "Return the result as a JSON array of strings.",
        "Use the tool if you must.\n\nRespond only in JSON with the keys name and parameters.",
        "Your response must be valid JSON. Do not add anything else.",
        "Produce JSON only.",
        "Give the entities in JSON, please.",
        'Respond in the following JSON format: {"name": function name}',
    ],
)
def test_json_is_demanded_in_many_ways(text: str) -> None:
    """All of them ask whoever answers for JSON."""
    assert demand(text).holds_json


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("4111111111111111", True),
        ("4111111111111112", False),
        ("5555555555554444", True),
        ("2223003122003222", True),
        ("378282246310005", True),
        ("6011111111111117", True),
        ("1234567812345670", False),
        ("0000000000000000", False),
        ("4", False),
    ],
)
def test_cards_have_a_network_and_luhns_sum(number: str, expected: bool) -> None:
    """Both are needed."""
    assert is_card(number) is expected


def test_telephone_and_security_numbers_have_rules() -> None:
    """Areas that are not given out make none."""
    assert is_phone("+44 20 7946 0958")
    assert not is_phone("+00 0000 0000")
    assert is_phone("415-555-2671")
    assert not is_phone("115-555-2671")
    assert is_security_number("321-54-9876")
    assert not is_security_number("666-09-9999")


@pytest.mark.parametrize(
    ("asked", "answered", "languages"),
    [
        ("Wo ist die Katze heute Morgen?", "The cat is on the mat and has been for hours.", ("de", "en")),
        ("The cat is on the mat, is it not?", "猫はマットの上に座っています。とても静かです。", ("en", "ja")),
        ("Where is the cat this morning?", 'stack(s("bd*4"), note("c a f e").s("sawtooth"))', None),
        ("Wo ist die Katze heute Morgen?", "Paris", None),
        ("Where is the cat this morning?", "", None),
    ],
)
def test_languages_are_told_apart_or_left_open(
    asked: str, answered: str, languages: tuple[str, str] | None
) -> None:
    """Two languages are named only where both are clear."""
    assert drift(asked, answered) == languages


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 4)), max_size=200))
def test_first_lines_are_a_dictionary(drawn: list[tuple[int, int]]) -> None:
    """Each repeated prompt is told the first line of itself and of its answer, whatever came between."""
    prompts = array("q", [prompt << 32 for prompt, _ in drawn])
    pairs = array("q", [prompt * 1000 + answer for prompt, answer in drawn])
    lines = array("q", range(1, len(drawn) + 1))
    by_prompt, by_pair, expected = dict[int, int](), dict[int, int](), []
    for line, prompt, pair in zip(lines, prompts, pairs, strict=True):
        if prompt in by_prompt:
            expected.append((line, by_prompt[prompt], by_pair.get(pair, 0)))
        by_prompt.setdefault(prompt, line)
        by_pair.setdefault(pair, line)

    assert list(FirstSeen().add(RowHashes(lines, prompts, pairs))) == expected


def test_first_lines_are_kept_through_growth() -> None:
    """Fifty thousand prompts with two answers each are all known the second time."""
    count = 50_000
    prompts = array("q", [number * 7919 for number in range(count)])
    lines, later = array("q", range(1, count + 1)), array("q", range(count + 1, 2 * count + 1))
    firsts = FirstSeen()

    assert list(firsts.add(RowHashes(lines, prompts, prompts))) == []
    others = array("q", [-number - 1 for number in range(count)])
    assert all(
        met == (met.line, met.line - count, 0) for met in firsts.add(RowHashes(later, prompts, others))
    )
    again = list(firsts.add(RowHashes(later, prompts, others)))
    assert [met.pair for met in again] == list(later)
