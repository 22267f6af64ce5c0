"""The Python checker that judges where Strudel's engine is not built."""

from __future__ import annotations

import re

import pytest

from polytune.strudel.checker import check
from polytune.strudel.mini import MiniError, read_mini
from polytune.strudel.vocabulary import sounds
from tests.graders.programs import BAD, GOOD
from tests.messages import message


@pytest.mark.parametrize("name", GOOD)
def test_accepts_valid_programs(name: str) -> None:
    """Nothing is found wrong with a valid program."""
    assert check(GOOD[name], sounds()).reason == ""


@pytest.mark.parametrize("name", BAD)
def test_refuses_with_the_cause(name: str) -> None:
    """A wrong program is refused with a reason that names the cause."""
    program, reason = BAD[name]

    assert re.search(reason, check(program, sounds()).reason)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("while (true) {}", message("graders/on-line-is-not-part", name="while", line=1)),
        ('s("bd*1000000")', message("graders/mini-notation", name="bd*1000000", name2="*1000000")),
        ('s("bd")\n  .gain(.5', message("graders/on-line-is-not-closed", line=2)),
        ('s("bd"]', message("graders/on-line-is-closed", line=1)),
        ('s("bd"),', message("graders/something-is-missing-after-on-line")),
        ("s(" * 300 + ")" * 300, message("graders/too-many-brackets-inside-each-other")),
        ('s("' + "[" * 99 + "bd" + "]" * 99 + '")', "mini-notation '[[["),
        ("x" * 100_001, message("graders/characters-are-too-long-for-pattern", characters="100,001")),
        ('s("bd").gain(1 2)', "unexpected 2 on line 1"),
        ('/* s("bd")', message("graders/comment-is-not-closed-on-line")),
    ],
)
def test_says_where(program: str, reason: str) -> None:
    """A reason names the line, the character or the word that is wrong."""
    assert check(program, sounds()).reason.startswith(reason)


def test_knows_the_sounds_of_the_spec() -> None:
    """A sound that the spec names is as good as Strudel's own."""
    assert check('s("honk")', sounds()).reason == 'unknown sound "honk"'
    assert check('s("honk")', sounds().and_also(["Honk"])).reason == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bd*4 [~ cp]", ["bd", "cp"]),
        ("<bd sd>(<3 5>,8,<0 2>)", ["bd", "sd"]),
        ("{a b, c}%4 d:3 e!2 f@3 g? h?0.5", ["a", "b", "c", "d", "e", "f", "g", "h"]),
        ("a . b c . d", ["a", "b", "c", "d"]),
        ("0 .. 7", ["0"]),
        ("a _ b -", ["a", "b"]),
    ],
)
def test_mini_words_are_those_that_become_events(text: str, words: list[str]) -> None:
    """Rests and the arguments of operators are not among a notation's words."""
    assert read_mini(text).words == words


@pytest.mark.parametrize(
    "text", ["", "[a", "a]", "<a", "a(3", "a(3,8,0,1)", "*2", "a | , b", "a, b | c", "a'"]
)
def test_mini_refuses(text: str) -> None:
    """What Strudel's grammar does not derive is refused, with the character."""
    with pytest.raises(MiniError, match=r"at character \d+$"):
        read_mini(text)
