"""The command grader on real programs: good ones, slow ones, broken ones, and ones that will not die."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from polytune.errors import StepFailed
from polytune.graders.command import CommandGrader, CommandSpec
from polytune.graders.interface import Case, Verdict
from polytune.settings import Settings
from tests.messages import matching, message

REPLY = """
import json, os, sys, time
def say(**reply): print(json.dumps(reply), flush=True)
for line in sys.stdin:
    case = json.loads(line)
    answer = case["answer"]
    {body}
"""
FRIENDLY = 'say(id=case["id"], passed=answer == case["reference"])'


def spec(folder: Path, body: str, **fields: object) -> CommandSpec:
    """A spec whose program runs `body` for each case."""
    indented = textwrap.indent(textwrap.dedent(body).strip(), "    ").strip()
    (folder / "judge.py").write_text(REPLY.replace("{body}", indented))
    command = ("python", "judge.py")
    return CommandSpec.model_validate(
        {"kind": "command", "command": command, "timeout_seconds": 10.0, **fields}
    )


def judge(given: CommandSpec, folder: Path, settings: Settings, cases: Sequence[Case]) -> list[Verdict]:
    """The verdicts on some cases, asked one after another."""

    async def work() -> list[Verdict]:
        async with CommandGrader(given, folder, settings) as grader:
            return [await grader.judge(case) for case in cases]

    return asyncio.run(work())


def answers(*texts: str) -> list[Case]:
    """Cases with these answers, whose reference is 'good'."""
    return [Case(prompt="p", answer=text, reference="good") for text in texts]


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead but not yet reaped does not."""
    shown = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return bool(shown.strip()) and not shown.strip().startswith("Z")


def gone(pid: int, seconds: float = 5) -> bool:
    """Whether a process ends within some seconds."""
    deadline = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_reads_a_whole_verdict(tmp_path: Path, settings: Settings) -> None:
    """Score, reason and details arrive as the program printed them, with the case as it was asked."""
    body = """
        details = {"words": len(case["prompt"].split()), "style": case["variables"]["style"]}
        say(id=case["id"], passed=False, score=0.25, reason="too short", details=details)
    """
    case = Case(prompt="a b c", answer="x", variables={"style": "techno"})

    found = judge(spec(tmp_path, body), tmp_path, settings, [case])

    details: dict[str, str | int | float | bool] = {"words": 3, "style": "techno"}
    assert found == [Verdict(passed=False, score=0.25, reason="too short", details=details)]


def test_fills_in_what_a_verdict_leaves_out(tmp_path: Path, settings: Settings) -> None:
    """Without a score it is 1 or 0, and a failure without a reason says that there was none."""
    good, bad = judge(spec(tmp_path, FRIENDLY), tmp_path, settings, answers("good", "bad"))

    assert good == Verdict(passed=True, score=1.0)
    assert bad == Verdict(passed=False, score=0.0, reason=message("graders/no-reason"))


def test_a_hanging_program_is_replaced(tmp_path: Path, settings: Settings) -> None:
    """The case that hangs fails with the limit, and the next one is judged by a fresh process."""
    body = """
        if answer == "hang":
            time.sleep(60)
        say(id=case["id"], passed=True, details={"pid": os.getpid()})
    """
    given = spec(tmp_path, body, timeout_seconds=0.5)

    first, hung, after = judge(given, tmp_path, settings, answers("good", "hang", "good"))

    assert hung == Verdict(passed=False, score=0.0, reason=message("graders/no-verdict-in-time", seconds=0.5))
    assert first.details["pid"] != after.details["pid"]
    assert gone(int(first.details["pid"]))


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("sys.exit(7)", message("graders/judge-ended-with-status")),
        ("os.kill(os.getpid(), 9)", message("graders/judge-was-ended-by-signal")),
    ],
)
def test_a_dying_program_is_replaced(end: str, reason: str, tmp_path: Path, settings: Settings) -> None:
    """The case that kills the program fails with how it ended, and the next one is judged."""
    given = spec(tmp_path, f'if answer == "die": {end}\n{FRIENDLY}')

    _, died, after = judge(given, tmp_path, settings, answers("good", "die", "good"))

    assert died.reason == reason
    assert after.passed


def test_a_program_that_ends_after_each_verdict(tmp_path: Path, settings: Settings) -> None:
    """A program that judges one case and ends in order is started again for the next, and blames no case."""
    found = judge(spec(tmp_path, FRIENDLY + "\nbreak"), tmp_path, settings, answers("good", "good", "good"))

    assert all(verdict.passed for verdict in found)


def test_a_program_that_never_answers_fails_the_step(tmp_path: Path, settings: Settings) -> None:
    """Three deaths without one verdict are the program's fault: the step fails with its last words."""
    given = spec(tmp_path, 'print("no model here", file=sys.stderr); sys.exit(2)')
    ended = matching("graders/ended-with-status-times-in-row", number=2, times=3)

    with pytest.raises(StepFailed, match=f"(?s)python judge.py.*{ended}.*no model here"):
        judge(given, tmp_path, settings, answers("good"))


def test_a_program_that_stops_answering_fails_the_step(tmp_path: Path, settings: Settings) -> None:
    """Three deaths in a row fail the step even when there were verdicts before."""
    given = spec(tmp_path, 'if answer == "die": sys.exit(2)\n' + FRIENDLY)

    with pytest.raises(
        StepFailed, match=matching("graders/ended-with-status-times-in-row", number=2, times=3)
    ):
        judge(given, tmp_path, settings, answers("good", "die", "die", "die"))


def test_a_command_that_is_not_there(tmp_path: Path, settings: Settings) -> None:
    """A command that cannot be found says where it was looked for."""
    given = CommandSpec(kind="command", command=("no-such-judge",))

    with pytest.raises(StepFailed, match=matching("graders/is-no-program", name="no-such-judge")):
        judge(given, tmp_path, settings, answers("good"))


def test_a_script_that_is_not_there(tmp_path: Path, settings: Settings) -> None:
    """A script that Python could not open is named before Python is started."""
    given = CommandSpec(kind="command", command=("python", "-u", "jugde.py", "judge.py"))

    with pytest.raises(StepFailed, match=matching("graders/there-is-no", name="jugde.py")):
        CommandGrader(given, tmp_path, settings)


def test_a_command_that_cannot_run(tmp_path: Path, settings: Settings) -> None:
    """A file that is executable but no program fails the step at once."""
    broken = tmp_path / "judge"
    broken.write_bytes(b"\x00not a program")
    broken.chmod(0o755)
    given = CommandSpec(kind="command", command=("./judge",))

    with pytest.raises(StepFailed, match=r"(?s)could not be started.*Exec format error"):
        judge(given, tmp_path, settings, answers("good"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('print("loading model", flush=True)', matching("graders/line-is-not-a-verdict")),
        (
            'say(id=case["id"], passed=True, score=1.5)',
            matching("graders/verdict-has-wrong-value", number="1.5"),
        ),
        ('say(id=case["id"], score=1)', matching("graders/reply-has-no", name="passed")),
        ("say(id=99, passed=True)", matching("graders/replied-to-case", number=99)),
        ("say(passed=True)", matching("graders/replied-to-case-none")),
    ],
)
def test_broken_protocol_fails_the_step(body: str, message: str, tmp_path: Path, settings: Settings) -> None:
    """A line that is no verdict on the case asked is shown, with what the program must print."""
    with pytest.raises(StepFailed, match=message) as failure:
        judge(spec(tmp_path, body), tmp_path, settings, answers("good"))

    assert re.search(
        matching("graders/grader-command-python", path="judge.py", message=""), str(failure.value)
    )


def test_late_replies_are_dropped(tmp_path: Path, settings: Settings) -> None:
    """A second reply to an earlier case does not become the verdict on the next one."""
    body = """
        say(id=case["id"], passed=answer == "good")
        say(id=case["id"], passed=answer != "good")
    """
    found = judge(spec(tmp_path, body), tmp_path, settings, answers("good", "bad", "good", "bad"))

    assert [verdict.passed for verdict in found] == [True, False, True, False]


def test_answers_asked_at_once_each_get_their_own_verdict(tmp_path: Path, settings: Settings) -> None:
    """Cases asked concurrently share one program and are not mixed up."""
    given = spec(tmp_path, 'say(id=case["id"], passed=True, reason=answer, details={"pid": os.getpid()})')

    async def work() -> list[Verdict]:
        async with CommandGrader(given, tmp_path, settings) as grader:
            return await asyncio.gather(*(grader.judge(case) for case in answers(*map(str, range(40)))))

    found = asyncio.run(work())

    assert [verdict.reason for verdict in found] == [str(number) for number in range(40)]
    assert len({verdict.details["pid"] for verdict in found}) == 1


def test_much_on_stderr_is_harmless(tmp_path: Path, settings: Settings) -> None:
    """A program may write as much as it likes to stderr."""
    given = spec(tmp_path, 'sys.stderr.write("x" * 1_000_000)\n' + FRIENDLY)

    assert judge(given, tmp_path, settings, answers("good", "good"))[1].passed


def test_closing_ends_what_the_program_started(tmp_path: Path, settings: Settings) -> None:
    """Neither a program that ignores its end of input nor its own children outlive the grader."""
    body = """
        import subprocess
        child = subprocess.Popen(["sleep", "60"])
        say(id=case["id"], passed=True, details={"pid": os.getpid(), "child": child.pid})
        time.sleep(60)
    """
    [verdict] = judge(spec(tmp_path, body), tmp_path, settings, answers("good"))

    assert gone(int(verdict.details["pid"]))
    assert gone(int(verdict.details["child"]))


def test_a_killed_run_takes_its_judges_along(tmp_path: Path) -> None:
    """When polytune is killed with no chance to clean up, a hanging program ends too."""
    spec(
        tmp_path,
        '(open("pid.tmp", "w").write(str(os.getpid())), os.rename("pid.tmp", "pid"))\ntime.sleep(60)',
    )
    run = """
        import asyncio, os
        from pathlib import Path
        from polytune.graders.command import CommandGrader, CommandSpec
        from polytune.graders.interface import Case
        from polytune.settings import Settings

        async def work():
            given = CommandSpec(kind="command", command=("python", "judge.py"))
            async with CommandGrader(given, Path("."), Settings(environment=dict(os.environ))) as grader:
                await grader.judge(Case(prompt="", answer=""))

        asyncio.run(work())
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    runner = subprocess.Popen([sys.executable, "-c", textwrap.dedent(run)], cwd=tmp_path, env=environment)
    deadline = time.monotonic() + 20
    while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    pid = int((tmp_path / "pid").read_text())
    assert alive(pid)

    runner.send_signal(signal.SIGKILL)
    runner.wait()

    assert gone(pid)


def test_sees_only_the_variables_it_is_given(tmp_path: Path) -> None:
    """The program sees a named variable and PATH, and none of the others."""
    given = spec(
        tmp_path,
        'say(id=case["id"], passed=True, reason=" ".join(sorted(os.environ)))',
        environment=("JUDGE_MODE",),
    )
    settings = Settings(environment={"JUDGE_MODE": "x", "AWS_SECRET_ACCESS_KEY": "y", "PATH": os.defpath})

    [verdict] = judge(given, tmp_path, settings, answers("good"))

    assert {"JUDGE_MODE", "PATH"} <= set(verdict.reason.split())
    assert "AWS_SECRET_ACCESS_KEY" not in verdict.reason


def test_a_variable_that_is_not_set(tmp_path: Path, settings: Settings) -> None:
    """A variable the spec names and nobody set is a failed step that names it."""
    with pytest.raises(StepFailed, match=matching("graders/is-not-set", name="JUDGE_NOWHERE")):
        judge(spec(tmp_path, FRIENDLY, environment=("JUDGE_NOWHERE",)), tmp_path, settings, answers("good"))


def test_editing_the_program_changes_the_identity(tmp_path: Path, settings: Settings) -> None:
    """The digest of each file named by the command is part of who judges, and the file is watched."""
    given = spec(tmp_path, FRIENDLY)
    before = CommandGrader.identity(given, tmp_path, settings)
    spec(tmp_path, 'say(id=case["id"], passed=True)')

    after = CommandGrader.identity(given, tmp_path, settings)

    assert before.name == after.name == "command python judge.py"
    assert before.facts != after.facts
    assert tmp_path / "judge.py" in after.watched


def test_a_command_needs_words() -> None:
    """A command without words, or with an empty one, is a problem of the spec."""
    empty = [CommandSpec(kind="command", command=words).problems() for words in ((), ("python", ""))]

    assert [[problem.field for problem in problems] for problems in empty] == [["command"], ["command"]]
    assert CommandSpec(kind="command", command=("true",)).problems() == []
