"""What emulated models know of a domain, asked of every member, and what they say without one."""

from __future__ import annotations

import pytest

from polytune.emulator.domains.interface import DOMAINS, DomainQuestion, EmulatedDomain, answer_in, openings


@pytest.fixture(params=DOMAINS.names())
def domain(request: pytest.FixtureRequest) -> EmulatedDomain:
    """Each member of the family."""
    return DOMAINS.load(request.param)()


def test_polytune_registers_the_domain_of_its_own() -> None:
    """Strudel's entry point is among the installed ones."""
    assert "strudel" in DOMAINS.names()


def test_a_domain_repeats_itself_for_a_seed(domain: EmulatedDomain) -> None:
    """Equal seeds and questions get the same answer, ten other seeds not all that one."""
    question = DomainQuestion(prompt="Something in house, please.")
    first = domain.answer("seed", question)

    assert first == domain.answer("seed", question)
    assert any(domain.answer(f"seed {number}", question) != first for number in range(10))


def test_a_domain_leaves_other_questions_alone(domain: EmulatedDomain) -> None:
    """No domain covers a question without any words."""
    assert not domain.covers("")


def test_without_a_domain_the_answer_is_neutral() -> None:
    """Where no domain of the name is installed, the text is about the prompt, and repeats for a seed."""
    question = DomainQuestion(prompt="three green boats on a lake")
    text = answer_in("no-such-domain", "seed", question)

    assert text == answer_in("no-such-domain", "seed", question)
    assert text.startswith(tuple(opening.format(topic=question.prompt) for opening in openings))
