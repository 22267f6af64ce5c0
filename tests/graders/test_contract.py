"""What every grader promises, asked of every member of the family."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from polytune.graders.interface import GRADERS, Case, Grader, GraderSpec, Verdict
from polytune.settings import Settings

JUDGE = """
import json, sys
for line in sys.stdin:
    case = json.loads(line)
    good = case["answer"] == case["reference"]
    print(json.dumps({"id": case["id"], "passed": good, "reason": "" if good else "differs"}), flush=True)
"""
GOOD = 's("bd*4, hh*8").bank("RolandTR909")'


@dataclass(frozen=True)
class Example:
    """One member with a spec under which `GOOD` is a good answer."""

    member: str
    fields: dict[str, object]
    needs_engine: bool = False


EXAMPLES = {
    "command": Example("command", {"command": ("python", "judge.py")}),
    "strudel checker": Example("strudel", {"engine": "checker"}),
    "strudel engine": Example("strudel", {"engine": "engine"}, needs_engine=True),
}


@dataclass(frozen=True)
class Ready:
    """A member with everything it needs to judge."""

    grader: type[Grader]
    spec: GraderSpec
    folder: Path
    settings: Settings

    def judge(self, *answers: str) -> list[Verdict]:
        """The verdicts on some answers."""

        async def work() -> list[Verdict]:
            async with self.grader(self.spec, self.folder, self.settings) as judge:
                return [
                    await judge.judge(Case(prompt="p", answer=answer, reference=GOOD)) for answer in answers
                ]

        return asyncio.run(work())


@pytest.fixture(params=EXAMPLES)
def ready(request: pytest.FixtureRequest, tmp_path: Path, settings: Settings) -> Ready:
    """Each member in turn."""
    example = EXAMPLES[request.param]
    (tmp_path / "judge.py").write_text(JUDGE)
    if example.needs_engine:
        settings = request.getfixturevalue("engine_settings")
    grader = GRADERS.load(example.member)
    spec = grader.Spec.model_validate({"kind": example.member, **example.fields})
    return Ready(grader, spec, tmp_path, settings)


def test_every_member_is_asked() -> None:
    """No member of the family is left out of this suite."""
    assert {example.member for example in EXAMPLES.values()} == set(GRADERS.names())


def test_a_good_answer_passes(ready: Ready) -> None:
    """A good answer passes with a full score and nothing to complain about."""
    [verdict] = ready.judge(GOOD)

    assert (verdict.passed, verdict.score, verdict.reason) == (True, 1.0, "")


@pytest.mark.parametrize(
    "answer",
    [
        "",
        " \n",
        's("bd',
        "x" * 3_000_000,
        "🎵 ноты \u2028 \x00 \ud7ff",
        '"' * 1001,
        "(" * 5000,
        "```js\nx\n```",
    ],
    ids=["empty", "blank", "broken", "huge", "unicode", "quotes", "deep", "fenced"],
)
def test_a_bad_answer_fails_with_a_reason(answer: str, ready: Ready) -> None:
    """Any bad answer is a verdict with a score from 0 to 1 and one line of reason, and no exception."""
    verdict, after = ready.judge(answer, GOOD)

    assert not verdict.passed
    assert 0 <= verdict.score <= 1
    assert verdict.reason
    assert "\n" not in verdict.reason
    assert after.passed


def test_verdicts_repeat(ready: Ready) -> None:
    """The same answers get the same verdicts from another grader of the same spec."""
    answers = (GOOD, 's("hh*8?").sometimes(x => x.speed(2))', "nothing")

    assert ready.judge(*answers) == ready.judge(*answers)


def test_closing_leaves_no_process(ready: Ready) -> None:
    """After the grader is closed, this process has no child that it had not before."""
    before = _children()

    ready.judge(GOOD, "bad")

    assert _children() == before


def test_closing_unused_is_fine(ready: Ready) -> None:
    """A grader that was never asked closes without a word."""
    assert ready.judge() == []


def test_identity_is_stable_and_cheap(ready: Ready) -> None:
    """Who judges is told alike each time, with a name, and without importing an engine."""
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
