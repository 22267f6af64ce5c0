"""The outcome of `validate` on the screen and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from polytune.data.validate.report import CheckReport, render, to_json
from tests.data.data_samples import LAYOUT, checked, row, rows, train
from tests.messages import message


def bad_dataset(folder: Path) -> CheckReport:
    """A report with many rules in it."""
    bad: list[str | bytes] = [
        b"{",
        b"",
        b"\xff",
        b"\0",
        row("User: a", "b"),
        row("row 1", "answer 1"),
        "[]",
        '{"messages": 1, "a": 2}',
    ]
    bad += [
        row("a", ""),
        row("c", "SYSTEM: d") + "\r",
        json.dumps({"schemaVersion": LAYOUT, "messages": [3]}),
    ]
    return checked(train(folder, *bad), rows(folder / "test.jsonl", 3))


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 8, 20, 60])
def test_the_screen_never_gets_more_than_its_lines(tmp_path: Path, limit: int) -> None:
    """The verdict is always the last line, and what is left out is counted."""
    report = bad_dataset(tmp_path)

    shown = render(report, limit)

    assert len(shown) <= limit
    assert shown[-1].startswith(f"failed for nova-lite: {report.errors} errors, {report.warnings} warnings")
    if limit == 20:
        assert shown[0].startswith("train  ")
        assert message("data/more-rules-in-validation-json") in shown[-2]
    if limit == 60:
        heads = [line for line in shown if line.startswith(("error: ", "warning: "))]
        assert len(heads) == len(report.groups)


def test_the_screen_of_a_good_dataset_is_short(tmp_path: Path) -> None:
    """A line for each split and the verdict."""
    shown = render(checked(train(tmp_path), rows(tmp_path / "test.jsonl", 1, "t")))

    assert shown == [
        "train  8 rows  1.4 kB  ~32 tokens  per row p50 ~4  p90 ~4  p99 ~4  max ~4 (line 1)",
        "test   1 row   0.2 kB  ~3 tokens   per row p50 ~3  p90 ~3  p99 ~3  max ~3 (line 1)",
        "passed for nova-lite: 0 errors, 0 warnings; tokens are estimates (characters / 4)",
    ]


def test_the_json_is_the_same_every_time_and_comes_back_equal(tmp_path: Path) -> None:
    """validation.json is sorted, ends in a newline, holds no time, and is the report."""
    first, second = bad_dataset(tmp_path), bad_dataset(tmp_path)

    text = to_json(first)

    assert text == to_json(second)
    assert text.endswith(b"}\n")
    assert msgspec.json.decode(text, type=CheckReport) == first
    assert list(json.loads(text)) == sorted(json.loads(text))
