"""What every teacher promises, asked of each one that answers without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from polytune.settings import Settings
from polytune.teachers.interface import FREE, TEACHERS, Answer, Request, Teacher

questions = [
    Request(system="Answer in code.", prompt=f"Piece {number}", variables={"style": "house", "tempo": 120})
    for number in range(8)
]
draws = 3


def _recorded(folder: Path) -> Path:
    path = folder / "answers.jsonl"
    lines = [
        msgspec.json.encode({"prompt": question.prompt, "answer": f's("bd*{draw + 1}")'})
        for question in questions
        for draw in range(draws)
    ]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


@pytest.fixture(params=["composer", "replay"])
def teacher(request: pytest.FixtureRequest, tmp_path: Path) -> Teacher:
    """Each member of the family that needs nothing but this machine."""
    specs: Mapping[str, dict[str, str]] = {"composer": {}, "replay": {"path": "answers.jsonl"}}
    member = TEACHERS.load(request.param)
    spec = member.Spec.model_validate({"kind": request.param, **specs[request.param]})
    return member(spec, {"path": _recorded(tmp_path)}, Settings())


async def _answers(teacher: Teacher) -> list[Answer]:
    async with teacher:
        return [await teacher.answer(question, draw) for question in questions for draw in range(draws)]


def test_same_request_and_draw_have_the_same_answer(teacher: Teacher) -> None:
    """A teacher that works offline answers a request and draw alike each time."""
    first = asyncio.run(_answers(teacher))
    second = asyncio.run(_answers(teacher))

    assert first == second


def test_draws_are_fresh(teacher: Teacher) -> None:
    """Some later draw of a question differs from its first."""
    answers = asyncio.run(_answers(teacher))

    assert any(answers[start].text != answers[start + 1].text for start in range(0, len(answers), draws))


def test_usage_and_price_are_stated(teacher: Teacher) -> None:
    """Every answer has text, token counts above zero marked as estimated, and costs nothing offline."""
    for answer in asyncio.run(_answers(teacher)):
        assert answer.text
        assert answer.usage.input_tokens > 0
        assert answer.usage.output_tokens > 0
        assert answer.usage.estimated
        assert answer.price_usd == 0.0


def test_price_is_known_before_asking(teacher: Teacher) -> None:
    """An offline teacher says beforehand that it is free and that nothing is missing."""
    assert teacher.price() == FREE
    assert teacher.missing() == ""


def test_questions_may_be_asked_at_once(teacher: Teacher) -> None:
    """Sixty-four answers asked for concurrently are those asked for one by one."""

    async def at_once() -> list[Answer]:
        async with teacher:
            asked = [(questions[number % 8], number % draws) for number in range(64)]
            return await asyncio.gather(*(teacher.answer(question, draw) for question, draw in asked))

    together = asyncio.run(at_once())

    alone = asyncio.run(_answers(teacher))
    assert together == [alone[(number % 8) * draws + number % draws] for number in range(64)]


def test_label_tells_where_answers_come_from(teacher: Teacher) -> None:
    """Tables name the teacher so that nobody takes its answers for a language model's."""
    assert "offline" in teacher.label or "recorded" in teacher.label
