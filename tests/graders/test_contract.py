"""What every grader promises, asked of every example of every member."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from polytune.graders.interface import GRADERS, Case, Grader, GraderSpec, Verdict
from polytune.settings import Settings
from tests.examples import Example, Named, examples_of, placed


class GraderExample(Example, kw_only=True):
    """A grader, an answer that it finds good, and some that it finds bad."""

    good: str
    bad: list[str]
    prompt: str = "A question."
    reference: str | None = None
    variables: dict[str, str | int | float] = {}
    only_good: bool = False
    """Whether it finds every other answer bad, such as an empty one or one of 3 MB."""
    built: bool = False
    """Whether it needs what `polytune grader build` makes."""


@dataclass(frozen=True)
class Ready:
    """A member with everything it needs to judge."""

    grader: type[Grader]
    spec: GraderSpec
    folder: Path
    settings: Settings
    example: GraderExample

    def judge(self, *answers: str) -> list[Verdict]:
        """The verdicts on some answers."""
        example = self.example

        async def work() -> list[Verdict]:
            async with self.grader(self.spec, self.folder, self.settings) as judge:
                return [
                    await judge.judge(
                        Case(
                            prompt=example.prompt,
                            answer=answer,
                            reference=example.reference,
                            variables=example.variables,
                        )
                    )
                    for answer in answers
                ]

        return asyncio.run(work())


@pytest.fixture(params=examples_of(GRADERS, GraderExample), ids=str)
def ready(request: pytest.FixtureRequest, tmp_path: Path, settings: Settings) -> Iterator[Ready]:
    """Each example in turn."""
    named: Named[GraderExample] = request.param
    grader = GRADERS.load(named.member)
    if named.example.built:
        settings = request.getfixturevalue("engine_settings")
        if grader.built(settings.cache_folder) is None:
            grader.build(settings.cache_folder)
    with placed(named, tmp_path, settings) as place:
        spec = grader.Spec.model_validate(place.fields, strict=False)
        yield Ready(grader, spec, tmp_path, place.settings, named.example)


def test_a_good_answer_passes(ready: Ready) -> None:
    """A good answer passes, with a score from 0 to 1 and nothing to complain about."""
    [verdict] = ready.judge(ready.example.good)

    assert (verdict.passed, verdict.reason) == (True, "")
    assert 0 <= verdict.score <= 1


def test_a_bad_answer_fails_with_a_reason(ready: Ready) -> None:
    """A bad answer fails with a score from 0 to 1 and one line of reason, and the next good one passes."""
    assert ready.example.bad
    for answer in ready.example.bad:
        verdict, after = ready.judge(answer, ready.example.good)

        assert not verdict.passed
        assert verdict.reason
        assert "\n" not in verdict.reason
        assert 0 <= verdict.score <= 1
        assert after.passed


@pytest.mark.parametrize(
    "answer",
    ["", " \n", "x" * 3_000_000, "🎵 ноты \u2028 \x00 \ud7ff", '"' * 1001, "(" * 5000],
    ids=["empty", "blank", "huge", "unicode", "quotes", "deep"],
)
def test_any_answer_gets_a_verdict(answer: str, ready: Ready) -> None:
    """Whatever a model says is judged and raises nothing; what fails has one line of reason."""
    verdict, after = ready.judge(answer, ready.example.good)

    assert 0 <= verdict.score <= 1
    assert bool(verdict.reason) is not verdict.passed
    assert "\n" not in verdict.reason
    assert not (ready.example.only_good and verdict.passed)
    assert after.passed


def test_verdicts_repeat(ready: Ready) -> None:
    """The same answers get the same verdicts from another grader of the same spec."""
    answers = (ready.example.good, *ready.example.bad, "something else")

    assert ready.judge(*answers) == ready.judge(*answers)


def test_closing_leaves_no_process(ready: Ready) -> None:
    """After the grader is closed, this process has no child that it had not before."""
    before = _children()

    ready.judge(ready.example.good, *ready.example.bad)

    assert _children() == before


def test_closing_unused_is_fine(ready: Ready) -> None:
    """A grader that was never asked closes without a word."""
    assert ready.judge() == []


def test_identity_is_stable_and_cheap(ready: Ready) -> None:
    """Two processes name the same judge, with the same facts, and import no engine for it."""
    code = _identity_code(ready)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    first, again = (
        subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        for _ in range(2)
    )

    assert first.stdout == again.stdout
    assert "heavy: []" in first.stdout
    assert ready.grader.identity(ready.spec, ready.folder, ready.settings).name in first.stdout


def _identity_code(ready: Ready) -> str:
    member, folder, cache = ready.spec.kind, str(ready.folder), str(ready.settings.cache_folder)
    heavy = ("py_mini_racer", "torch", "aiohttp", "boto3")
    return f"""
import sys
from pathlib import Path
from polytune.graders.interface import GRADERS
from polytune.settings import Settings
grader = GRADERS.load({member!r})
spec = grader.Spec.model_validate_json({ready.spec.model_dump_json()!r})
print(grader.identity(spec, Path({folder!r}), Settings(cache_folder=Path({cache!r}))))
print("heavy:", [name for name in {heavy!r} if name in sys.modules])
"""


def _children() -> set[str]:
    shown = subprocess.run(
        ["ps", "-o", "pid=,comm=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=True
    )
    return {line for line in shown.stdout.splitlines() if not line.endswith("ps")}
