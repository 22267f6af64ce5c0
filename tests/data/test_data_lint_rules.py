"""Every lint rule finds what it is for, and lets pass what only looks like it."""

from __future__ import annotations

from pathlib import Path

import pytest

from polytune.data.lint.lint import Lint, RowFinding
from polytune.data.lint.rules.interface import LintOptions
from tests.data.data_gallery import GALLERY, Case

BAD = [(rule, case) for rule, (bad, _) in GALLERY.items() for case in bad]
GOOD = [(rule, case) for rule, (_, good) in GALLERY.items() for case in good]


def linted(
    folder: Path, *lines: str, rules: tuple[str, ...] = (), options: LintOptions | None = None
) -> list[RowFinding]:
    """What is found in a file of these lines."""
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    return list(Lint(path, options, rules))


@pytest.mark.parametrize(("rule", "case"), BAD, ids=[f"{rule}-{n}" for n, (rule, _) in enumerate(BAD)])
def test_what_a_rule_is_for_is_found(tmp_path: Path, rule: str, case: Case) -> None:
    """The rule finds the row once, at a JSON path that the row has."""
    found = linted(tmp_path, case.line(), rules=(rule,))

    assert [each.finding.rule for each in found] == [rule]
    assert found[0].finding.line == 1
    assert found[0].finding.field.startswith("messages[")


@pytest.mark.parametrize(("rule", "case"), GOOD, ids=[f"{rule}-{n}" for n, (rule, _) in enumerate(GOOD)])
def test_what_only_looks_like_it_passes(tmp_path: Path, rule: str, case: Case) -> None:
    """The rule lets the row pass."""
    assert linted(tmp_path, case.line(), rules=(rule,)) == []
