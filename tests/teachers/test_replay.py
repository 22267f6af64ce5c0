"""Answers from a recorded file: which record answers what, and what a broken file says."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from polytune.errors import DataError, StepFailed
from polytune.settings import Settings
from polytune.teachers.interface import Answer, Request, TokenUsage
from polytune.teachers.replay import Replay, ReplaySpec
from tests.messages import matching, message


def _ask(path: Path, prompt: str, draw: int = 0, system: str = "") -> Answer:
    teacher = Replay(ReplaySpec(kind="replay", path=path.name), {"path": path}, Settings())
    return asyncio.run(teacher.answer(Request(system=system, prompt=prompt, variables={}), draw))


def _file(folder: Path, *records: dict[str, object]) -> Path:
    path = folder / "answers.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def test_nth_record_answers_nth_draw(tmp_path: Path) -> None:
    """Records of one prompt answer its draws in file order, whatever stands between them."""
    path = _file(
        tmp_path,
        {"prompt": "a", "answer": "first"},
        {"prompt": "b", "answer": "other"},
        {"prompt": "a", "answer": "second"},
    )

    assert [_ask(path, "a", draw).text for draw in (0, 1)] == ["first", "second"]


def test_stated_draw_wins_over_order(tmp_path: Path) -> None:
    """A record with `draw` answers that draw."""
    path = _file(
        tmp_path,
        {"prompt": "a", "answer": "later", "draw": 1},
        {"prompt": "a", "answer": "earlier", "draw": 0},
    )

    assert _ask(path, "a", 0).text == "earlier"


def test_record_with_the_system_prompt_is_preferred(tmp_path: Path) -> None:
    """A record with the request's system prompt wins; one without a system prompt answers all others."""
    path = _file(
        tmp_path,
        {"prompt": "a", "answer": "for anyone"},
        {"prompt": "a", "answer": "for you", "system": "Be brief."},
        {"prompt": "b", "answer": "not for you", "system": "Be long."},
    )

    assert _ask(path, "a", system="Be brief.").text == "for you"
    assert _ask(path, "a", system="Be long.").text == "for anyone"
    with pytest.raises(StepFailed, match=matching("teachers/it-has-none-for-this-prompt")):
        _ask(path, "b", system="Be brief.")


def test_recorded_usage_is_kept(tmp_path: Path) -> None:
    """TokenUsage comes from the record when it has some, else it is estimated at four characters a token."""
    usage = {"input_tokens": 9, "output_tokens": 5, "estimated": False}
    path = _file(
        tmp_path, {"prompt": "a", "answer": "x", "usage": usage}, {"prompt": "eight ch", "answer": "12345"}
    )

    assert _ask(path, "a").usage == TokenUsage(input_tokens=9, output_tokens=5, estimated=False)
    assert _ask(path, "eight ch").usage == TokenUsage(input_tokens=2, output_tokens=2, estimated=True)


def test_missing_answer_names_prompt_and_file(tmp_path: Path) -> None:
    """A request that was never recorded stops the step and says which prompt, which file and what to do."""
    path = _file(tmp_path, {"prompt": "known", "answer": "x"})

    with pytest.raises(
        StepFailed, match=matching("teachers/no-recorded-answer-to-it-has", name="known", number=1)
    ):
        _ask(path, "known", 1)
    with pytest.raises(
        StepFailed,
        match=f"^{re.escape(str(path))}: " + matching("teachers/no-recorded-answer-to-unknown-long"),
    ):
        _ask(path, "unknown long\nprompt " * 20)


def test_every_bad_line_is_reported_by_number(tmp_path: Path) -> None:
    """A file with bad lines is refused with the number and the fault of each; blank lines are fine."""
    path = tmp_path / "answers.jsonl"
    lines = [
        b'{"prompt": "a", "answer": "fine"}',
        b"",
        b'{"prompt": "a"',
        b'{"promt": "a", "answer": "b"}',
        b'{"prompt": "a", "answer": 3}',
        b'{"prompt": "a", "answer": "again", "draw": 0}',
        b'{"prompt": "a", "answer": "b", "draw": -1}',
        b'{"prompt": "\xff", "answer": "b"}',
    ]
    path.write_bytes(b"\n".join(lines))

    with pytest.raises(DataError, match=matching("teachers/not-a-recorded-answer")) as caught:
        _ask(path, "a")

    told = str(caught.value).replace(f"{path}:", "").splitlines()
    assert [line.partition(":")[0] for line in told] == ["3", "4", "5", "6", "7", "8"]
    assert re.match("4: " + matching("teachers/not-a-recorded-answer-unknown-field"), told[1])
    assert re.match("5: " + matching("teachers/not-a-recorded-answer-no-answer"), told[2])
    assert told[3] == "6: " + message("teachers/draw-of-this-prompt-is-recorded", number=0)
    assert told[4] == "7: " + message("teachers/draw-must-be-or-more")


def test_many_bad_lines_are_cut_short(tmp_path: Path) -> None:
    """At most twenty bad lines are listed; the rest are counted."""
    path = tmp_path / "answers.jsonl"
    path.write_text("[]\n" * 50, encoding="utf-8")

    with pytest.raises(DataError, match=r"and 30 more such lines$"):
        _ask(path, "a")


def test_absent_file_is_named(tmp_path: Path) -> None:
    """A file that is not there is an error with its name."""
    with pytest.raises(DataError, match=r"nowhere\.jsonl: " + matching("teachers/cannot-be-read")):
        _ask(tmp_path / "nowhere.jsonl", "a")


def test_file_that_changes_underneath_is_noticed(tmp_path: Path) -> None:
    """A file rewritten between two answers gives an error, not somebody else's answer."""
    path = _file(tmp_path, {"prompt": "a", "answer": "x"}, {"prompt": "b", "answer": "y"})
    teacher = Replay(ReplaySpec(kind="replay", path=path.name), {"path": path}, Settings())
    asyncio.run(teacher.answer(Request(system="", prompt="a", variables={}), 0))
    path.write_text("short\n", encoding="utf-8")

    with pytest.raises(DataError, match=matching("teachers/changed-while-it-was-replayed")):
        asyncio.run(teacher.answer(Request(system="", prompt="b", variables={}), 0))
