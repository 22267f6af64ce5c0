"""What every teacher promises, asked of every example of every member, networked ones included."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from polytune.asking.reply import Reply
from polytune.settings import Settings
from polytune.spec.resolved import named_files
from polytune.teachers.interface import TEACHERS, Answer, Request, Teacher
from tests.examples import Example, Named, examples_of, placed
from tests.messages import message

draws = 3


class TeacherExample(Example, kw_only=True):
    """A teacher and questions that it can answer."""

    prompts: tuple[str, ...] = tuple(f"Piece {number}" for number in range(8))
    answers: bool = True
    """False for one that never answers."""


@dataclass(frozen=True)
class Asked:
    """A member that can be asked."""

    teacher: Teacher
    example: TeacherExample

    @property
    def questions(self) -> list[Request]:
        """One request for each prompt."""
        variables: dict[str, str | int | float] = {"style": "house", "tempo": 120}
        return [
            Request(system="Answer in code.", prompt=prompt, variables=variables)
            for prompt in self.example.prompts
        ]

    @property
    def draws(self) -> list[tuple[Request, int]]:
        """Three draws of each question."""
        return [(question, draw) for question in self.questions for draw in range(draws)]

    @property
    def repeats(self) -> bool:
        """Whether it works on this machine alone, so that it answers alike each time."""
        return self.example.serves is None

    def replies(self, wanted: Sequence[tuple[Request, int]]) -> list[Reply]:
        """The replies to some draws, one after another."""

        async def work() -> list[Reply]:
            async with self.teacher as teacher:
                return [await teacher.reply(request, draw) for request, draw in wanted]

        return asyncio.run(work())

    def answers(self) -> list[tuple[Request, Reply, Answer]]:
        """Each draw with its reply, as billed, and the answer in it."""
        return [
            (request, reply, self.teacher.parse(reply.body, request))
            for (request, _), reply in zip(self.draws, self.replies(self.draws), strict=True)
        ]


@pytest.fixture(params=examples_of(TEACHERS, TeacherExample), ids=str)
def asked(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Asked]:
    """Each example in turn."""
    named: Named[TeacherExample] = request.param
    with placed(named, tmp_path, Settings()) as place:
        member = TEACHERS.load(named.member)
        spec = member.Spec.model_validate(place.fields)
        files = {name: tmp_path / str(getattr(spec, name)) for name in named_files(spec)}
        yield Asked(member(spec, files, place.settings), named.example)


@pytest.fixture
def answering(asked: Asked) -> Asked:
    """Each example of a teacher that answers."""
    if not asked.example.answers:
        pytest.skip("it never answers")
    return asked


def test_a_teacher_that_works_here_repeats_itself(asked: Asked) -> None:
    """A teacher without a network answers a request and draw alike each time."""
    first = [answer for _, _, answer in asked.answers()]
    second = [answer for _, _, answer in asked.answers()]

    assert (first == second) is asked.repeats


def test_draws_are_fresh(answering: Asked) -> None:
    """Some later draw of a question differs from its first."""
    texts = [answer.text for _, _, answer in answering.answers()]

    assert any(texts[start] != texts[start + 1] for start in range(0, len(texts), draws))


def test_a_stored_reply_is_a_whole_answer(answering: Asked) -> None:
    """What a reply stores is read back as text without a flaw, the same each time."""
    for request, reply, answer in answering.answers():
        assert answer.text.strip()
        assert answering.teacher.flaw(reply.body, request, ()) == ""
        assert answering.teacher.parse(reply.body, request) == answer


def test_tokens_are_counted(answering: Asked) -> None:
    """Every answer says how many tokens were read and written, and so does its reply."""
    for _, reply, answer in answering.answers():
        assert answer.usage.input_tokens > 0
        assert answer.usage.output_tokens > 0
        assert (reply.tokens.read, reply.tokens.written) == (
            answer.usage.input_tokens,
            answer.usage.output_tokens,
        )


def test_an_answer_costs_what_was_said_before(asked: Asked) -> None:
    """A free teacher bills nothing, one with a price at most what was set aside, others an unknown price."""
    price = asked.teacher.price()
    rates = (price.input_usd_per_million_tokens, price.output_usd_per_million_tokens)
    for request, reply, _ in asked.answers():
        most = asked.teacher.at_most(request).usd
        if None in rates:
            assert most is None
            assert reply.price_usd is None
        else:
            assert reply.price_usd is not None
            assert most is not None
            assert 0 <= reply.price_usd <= most
            assert (reply.price_usd == 0) is (rates == (0, 0))
    assert price.source


def test_nothing_is_missing(asked: Asked) -> None:
    """With its files, its server and its keys at hand, a teacher has nothing to ask for."""
    assert asked.teacher.missing() is None


def test_questions_may_be_asked_at_once(asked: Asked) -> None:
    """Sixty-four answers asked for together all arrive; without a network they are those asked in turn."""
    wanted = [asked.draws[number % len(asked.draws)] for number in range(64)]

    async def at_once() -> list[Reply]:
        async with asked.teacher as teacher:
            return await asyncio.gather(*(teacher.reply(request, draw) for request, draw in wanted))

    together = asyncio.run(at_once())

    assert len(together) == 64
    if asked.repeats:
        assert [reply.body for reply in together] == [reply.body for reply in asked.replies(wanted)]


def test_a_label_is_one_line(asked: Asked) -> None:
    """Tables, limits and estimates name the teacher in a line each."""
    for text in (asked.teacher.label, asked.teacher.endpoint(), asked.teacher.note(100)):
        assert text.strip()
        assert "\n" not in text


def test_an_offline_teacher_poses_as_no_language_model() -> None:
    """The label of the composer says that it is none, that of recorded answers that they are recorded."""
    composer = TEACHERS.load("composer")

    assert message("teachers/no-language-model") in str(composer.label)
    assert "recorded" in str(TEACHERS.load("replay").label)
