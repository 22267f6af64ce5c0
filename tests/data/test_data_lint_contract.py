"""What every lint rule promises, asked of every example of every member."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from polytune.base_models.interface import BASE_MODELS
from polytune.data.lint.lint import Lint
from polytune.data.lint.rules.interface import RULES, LintOptions
from tests.examples import Example, Named, examples_of

long_text = "word " * 30_000


class RuleExample(Example, kw_only=True):
    """Rows of a file, and those of them that the rule finds."""

    rows: list[str | dict[str, Any]]
    """A mapping is written as JSON, a text as it is; `{long}` in it becomes 30,000 words."""
    found: list[int]
    """Lines, from 1."""
    base_model: str = ""


@pytest.fixture(params=examples_of(RULES, RuleExample), ids=str)
def named(request: pytest.FixtureRequest) -> Named[RuleExample]:
    """Each example in turn."""
    found: Named[RuleExample] = request.param
    return found


def test_a_rule_finds_its_rows_and_no_others(named: Named[RuleExample], tmp_path: Path) -> None:
    """The findings are at the example's lines, each with the rule's name, a message and a fix."""
    example = named.example
    lines = [row if isinstance(row, str) else json.dumps(row) for row in example.rows]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines).replace("{long}", long_text), encoding="utf-8")
    model = BASE_MODELS.get(example.base_model) if example.base_model else None

    found = [each.finding for each in Lint(path, LintOptions(model), (named.member,))]

    assert [each.line for each in found] == example.found
    for each in found:
        assert each.rule == named.member
        assert each.message
        assert each.fix
    assert 0 < len(found) < len(lines)


def test_a_rule_explains_itself(named: Named[RuleExample]) -> None:
    """It is called as its file is, has an example, and a fix that is a sentence."""
    rule = RULES.load(named.member)

    assert rule.name == named.member
    assert rule.example
    assert rule.fix[0].isupper()
    assert rule.fix.endswith(".")
