"""However a good file is damaged, polytune either accepts it or says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytune.errors import Problem
from tests.spec.spec_gallery import problems_of
from tests.spec.spec_samples import STEADY, sample_member

GOOD = """\
name: good
description: "for ${env:WHO:-all}"
seed: 7
budget: {usd: 25, requests: 100}
platform: &here {kind: bedrock, bucket: data}
tags: {team: music}
steps:
  generate:
    prompts: x.yaml
    teacher: {kind: polychat, model: m, api_key: "${secret:KEY}"}
    graders:
      - {kind: regex, pattern: 'a+'}
      - kind: python
        path: x.yaml
    matrix: {style: [techno, house], size: [1, 2.5]}
    on_reject: redraw
  format:
    from: generate
    system: short
    split: {train: 0.8, test: 0.2}
  train:
    <<: {epochs: 3}
    base_model: tiny-llama
    learning_rate: 5e-5
    platform: *here
    needs: [generate]
  deploy: {kind: on_demand, ttl: "${spec:seed}d"}
matrix:
  steps.train.epochs: [1, 2]
"""
SNIPPETS = (
    *("", " ", "  ", "\t", "\n", ":", ": ", "- ", "#", "[", "]", "{", "}", ",", "'", '"', "|", ">"),
    *("&a ", "*a", "*here", "!", "!!int ", "%", "@", "`", "?", "~", "null", "yes", "---\n", "...\n"),
    *("-1", "1e999", "9" * 25, "5e-5", "a" * 300, "é", "\U0001f3b5", "\0", "\x85", "\u2028", "\ud800"),
    *("${", "${env:X}", "${spec:steps}", "${spec:seed}", "${secret:KEY}", "$${", "<<: *here"),
    *("kind: composer", "extends: x.yaml", "matrix: {seed: [1, 2]}", "steps: []", "uses: train"),
)
EDITS = st.lists(
    st.tuples(
        st.integers(min_value=0, max_value=len(GOOD)),
        st.integers(min_value=0, max_value=40),
        st.sampled_from(SNIPPETS),
    ),
    min_size=1,
    max_size=3,
)
LINES = GOOD.splitlines(keepends=True)


def told(folder: Path, text: str, *overrides: str) -> list[Problem]:
    """Every problem of a file with this text."""
    (folder / "x.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    return problems_of(folder / "x.yaml", overrides, {"X": "1"}, sample_member)


def assert_told_well(problems: list[Problem]) -> None:
    """Each problem has a place in the file and a short text of one line."""
    for problem in problems:
        assert problem.file.endswith(("x.yaml", "--set"))
        assert problem.what
        assert "\n" not in str(problem)
        assert len(problem.what) <= 600


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the damaged files."""
    return tmp_path_factory.mktemp("mutations")


def test_the_undamaged_file_is_good(folder: Path) -> None:
    """The file that the others are made from has no problem."""
    assert told(folder, GOOD) == []


@STEADY
@given(edits=EDITS)
def test_damaged_text_is_accepted_or_told(folder: Path, edits: list[tuple[int, int, str]]) -> None:
    """Characters cut out and snippets put in anywhere lead to placed problems or to nothing."""
    text = GOOD
    for start, length, snippet in edits:
        text = text[:start] + snippet + text[start + length :]

    assert_told_well(told(folder, text))


@STEADY
@given(order=st.lists(st.integers(min_value=0, max_value=len(LINES) - 1), max_size=len(LINES) + 5))
def test_lines_in_any_number_and_order_are_accepted_or_told(folder: Path, order: list[int]) -> None:
    """Lines left out, repeated and shuffled lead to placed problems or to nothing."""
    assert_told_well(told(folder, "".join(LINES[index] for index in order)))


@STEADY
@given(
    index=st.integers(min_value=0, max_value=len(LINES) - 1),
    value=st.sampled_from(
        ["5", "x", "[x]", "{x: 1}", "yes", "", "1.5", "-3", "'5'", "*here", "${env:NO}", "{kind: 3}"]
    ),
)
def test_values_of_any_type_are_accepted_or_told(folder: Path, index: int, value: str) -> None:
    """A value of another type anywhere leads to placed problems or to nothing."""
    lines = list(LINES)
    lines[index] = f"{lines[index].partition(':')[0]}: {value}\n"

    assert_told_well(told(folder, "".join(lines)))


@STEADY
@given(st.text(alphabet="abks.=0{}[]:$ '-", max_size=25))
def test_overrides_of_any_text_are_accepted_or_told(folder: Path, override: str) -> None:
    """Any text behind `--set` leads to problems or to nothing."""
    assert_told_well(told(folder, GOOD, override, f"steps.train.epochs={override}", f"{override}=1"))
