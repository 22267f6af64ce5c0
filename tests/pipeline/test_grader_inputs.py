"""A run with `command` graders: what their key covers, what they read beyond it, and what is said of it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from polytune.engine.artifacts import KeyRecord
from polytune.engine.step import STEPS, Scope
from polytune.errors import Problem, StepFailed
from polytune.graders.command import CommandSpec
from polytune.graders.interface import Case
from polytune.settings import Settings
from polytune.spec.reading import read_yaml
from polytune.spec.validate import validated
from polytune.step_factory import member_spec
from polytune.steps._judging import judge_facts, judging, named_graders
from tests.messages import matching, message
from tests.pipeline.program import Program

EXPERIMENT = """
name: judged
steps:
  generate:
    prompts: prompts.yaml
    teacher: {kind: replay, path: answers.jsonl}
    count: 2
    graders:
      - {kind: command, command: [python, judge.py]GRADER}
"""
PROMPTS = """
system: Answer in one word.
templates: [Name a colour.]
"""
ANSWERS = """
{"prompt": "Name a colour.", "answer": "red"}
{"prompt": "Name a colour.", "answer": "blue"}
"""
JUDGE = """
import json, os, sys
from rubric import passes
for line in sys.stdin:
    case = json.loads(line)
    print(json.dumps({"id": case["id"], "passed": passes(case)}), flush=True)
"""


SHELL = """
number=0
while read line; do
    cat words.txt >&2
    number=$((number + 1))
    echo "{\\"id\\": $number, \\"passed\\": true}"
done
"""


class Judged:
    """A workspace with one experiment whose answers a program judges."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.program = Program(root)

    def made(self) -> Judged:
        """The same, with all its files."""
        (self.root / "runs").mkdir()
        self.write("prompts.yaml", PROMPTS)
        self.write("answers.jsonl", ANSWERS.lstrip())
        self.write("judge.py", JUDGE)
        self.write("rubric.py", "def passes(case): return True\n")
        self.grader()
        return self

    def write(self, name: str, text: str) -> None:
        """Write a file of the workspace."""
        (self.root / name).write_text(text)

    def grader(self, fields: str = "") -> None:
        """State further fields of the grader."""
        self.write("judged.yaml", EXPERIMENT.replace("GRADER", fields))

    def state(self) -> str:
        """What a run would do with the step."""
        [plan] = json.loads(self.program("plan", "judged.yaml", "--json").out)
        state: str = plan["steps"][0]["state"]
        return state

    def run(self) -> dict[str, Any]:
        """The report of the step of a run that must succeed."""
        report: dict[str, Any] = self.program.run("judged.yaml")["steps"]["generate"]
        return report


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    """A workspace in which nothing has run."""
    return Judged(tmp_path).made()


def test_an_edit_moves_the_key_and_its_revert_is_a_hit(judged: Judged) -> None:
    """What the judge imports, and the value of its variable, are in the key; a secret's value is not."""
    judged.grader(", environment: [LIMIT, '${secret:JUDGE_KEY}']")
    judged.write(".env", "LIMIT=limit-one\nJUDGE_KEY=sk-one-secret\n")
    manifest = judged.program.run("judged.yaml")
    judged.write(".env", "LIMIT=limit-one\nJUDGE_KEY=sk-two-secret\n")
    rotated = judged.state()
    judged.write(".env", "LIMIT=limit-two\nJUDGE_KEY=sk-two-secret\n")
    changed = judged.state()
    judged.write(".env", "LIMIT=limit-one\nJUDGE_KEY=sk-two-secret\n")
    judged.write("rubric.py", "def passes(case): return 1\n")
    edited = judged.state()
    why = judged.program("plan", "judged.yaml").out
    judged.write("rubric.py", "def passes(case): return True\n")

    assert (rotated, changed, edited, judged.state()) == ("hit", "run", "run", "hit")
    assert "rubric.py changed" in why
    [grader] = manifest["spec"]["steps"]["generate"]["graders"]
    assert grader["environment"] == ["LIMIT", "${secret:JUDGE_KEY}"]
    stored = [path.read_bytes() for path in (judged.root / "runs").rglob("*") if path.is_file()]
    assert not [content for content in stored if b"-secret" in content or b"limit-one" in content]


def test_the_command_is_found_from_wherever_the_program_is_called(judged: Judged, tmp_path: Path) -> None:
    """Its paths are relative to the experiment, not to the folder in which the user is."""
    elsewhere = tmp_path / "else" / "where"
    elsewhere.mkdir(parents=True)

    for path in (str(tmp_path / "judged.yaml"), "../../judged.yaml"):
        manifest = Program(elsewhere).run(path, "--force", "generate")
        assert manifest["steps"]["generate"]["status"] == "done"
        assert manifest["path"] == "judged.yaml"
    assert judged.state() == "hit"


def test_an_undeclared_read_fails_the_step_and_keeps_the_answers(judged: Judged) -> None:
    """The step names the file and the line to add; with the line, nothing is asked again."""
    judged.write("words.txt", "red")
    judged.write("rubric.py", "def passes(case): return bool(open('words.txt').read())\n")
    failed = judged.program("run", "judged.yaml")
    judged.grader(", files: [words.txt]")
    report = judged.run()

    assert failed.code == 1
    assert message("graders/read-not-part-of-key", names="words.txt", line="words.txt") in failed.err
    assert (report["usage"]["requests"], report["usage"]["reused"]) == (0, 2)


def test_an_undeclared_read_can_warn(judged: Judged) -> None:
    """With the setting, the run says it once, and the manifest keeps it."""
    judged.write(".env", "POLYTUNE_UNDECLARED_INPUTS=warn\n")
    judged.write("words.txt", "red")
    judged.write("rubric.py", "def passes(case): return bool(open('words.txt').read())\n")
    warning = message("graders/read-not-part-of-key", names="words.txt", line="words.txt")

    said = judged.program("run", "judged.yaml", "--json")

    assert said.err.count(warning) == 1
    [note] = said.json()["steps"]["generate"]["notes"]
    assert warning in note


def test_inputs_that_are_not_observed_are_noted(judged: Judged) -> None:
    """A judge in another language is noted once in the plan and in the manifest; declared files count."""
    judged.write("judge.sh", SHELL)
    judged.write("words.txt", "red")
    judged.grader("}\n      - {kind: command, command: [sh, judge.sh], files: [words.txt]")
    note = message("graders/not-observed")

    plan = judged.program("plan", "judged.yaml")
    report = judged.run()
    first = judged.state()
    judged.write("words.txt", "blue")

    assert plan.out.count(note) == 1
    assert judged.program("show", "judged", "generate").out.count(note) == 1
    assert [note in each for each in report["notes"]] == [True]
    assert (first, judged.state()) == ("hit", "run")


GENERATE = """
prompts: prompts.yaml
teacher: {kind: none}
count: 1
"""
EVALUATE = """
platform: {kind: local}
"""


@pytest.mark.parametrize(("kind", "fields"), [("generate", GENERATE), ("evaluate", EVALUATE)])
def test_every_step_with_graders_takes_all_of_an_identity(kind: str, fields: str, judged: Judged) -> None:
    """Facts, watched files, variables and notes of each grader are the step's, one time each."""
    grader = "  - {kind: command, command: [sh, judge.sh], files: [words.txt], environment: [LIMIT]}\n"
    judged.write("judge.sh", SHELL)
    judged.write("words.txt", "")
    path = judged.root / "step.yaml"
    path.write_text(f"{fields}graders:\n{grader}{grader}", encoding="utf-8")
    problems: list[Problem] = []
    cls = STEPS.load(kind)
    spec = validated(cls.Spec, read_yaml(path), kind, problems, member_spec)
    assert spec is not None, problems
    scope = Scope(judged.root, judged.root, "name", "default", Settings(environment={"LIMIT": "1"}))

    facts = cls(spec, {"prompts": judged.root / "prompts.yaml"}, scope).key_facts()

    assert list(facts.facts["judges"]) == ["command", "command-2"]
    assert {judged.root / "judge.sh", judged.root / "words.txt"} <= set(facts.watched)
    assert facts.environment == ("LIMIT",)
    assert [message("graders/not-observed") in note for note in facts.notes] == [True]


def test_a_command_is_relative_to_the_file_that_states_it(judged: Judged) -> None:
    """A judge of a base file is looked for beside that file, in the key and at work, and so are its files."""
    base = judged.root / "shared"
    base.mkdir()
    judged.grader(", files: ['words.*'], timeout_seconds: 10")
    for name in ("judged.yaml", "judge.py", "prompts.yaml", "answers.jsonl"):
        (judged.root / name).rename(base / name)
    (base / "rubric.py").write_text("def passes(case): return bool(open('words.txt').read())\n")
    (base / "words.txt").write_text("red")
    # A namesake beside the child must not judge.
    judged.write("judge.py", "raise SystemExit('the wrong judge')")
    judged.write("judged.yaml", "extends: shared/judged.yaml\nname: child\nsteps: {}\n")

    report = judged.run()
    first = judged.state()
    (base / "words.txt").write_text("blue")

    assert report["status"] == "done"
    assert (first, judged.state()) == ("hit", "run")


@pytest.mark.parametrize(
    "command", ['[python, "{here}/judge.py"]', '[sh, -c, "exec python {here}/judge.py"]']
)
def test_an_absolute_path_of_the_workspace_holds_in_a_copy(
    command: str, judged: Judged, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its place is in no key, name or output, and the copy's own judge counts and judges there."""
    stated = judged.root / "judged.yaml"
    stated.write_text(
        stated.read_text().replace("[python, judge.py]", command.replace("{here}", "${env:HERE}"))
    )
    judged.write(".env", f"HERE={judged.root}\n")
    manifest = judged.program.run("judged.yaml")
    copy = Judged(tmp_path_factory.mktemp("elsewhere") / "copy")
    shutil.copytree(judged.root, copy.root)
    copy.write(".env", f"HERE={copy.root}\n")
    judged.write("judge.py", "raise SystemExit('the wrong judge')")

    assert (copy.state(), judged.state()) == ("hit", "run")
    assert str(judged.root) not in json.dumps(manifest["steps"]) + json.dumps(manifest["spec"])
    copied = copy.program("run", "judged.yaml", "--force", "generate", "--json").json()
    before, after = manifest["steps"]["generate"], copied["steps"]["generate"]
    assert (after["key"], after["output_digest"]) == (before["key"], before["output_digest"])


def test_an_edit_while_it_judges_fails_the_step_also_if_it_is_reverted(judged: Judged) -> None:
    """The file is named; its digest at the end says nothing about the verdicts in between."""
    judged.write(
        "rubric.py",
        "import pathlib\ndef passes(case):\n    path = pathlib.Path(__file__)\n    text = path.read_text()\n"
        "    path.write_text('')\n    path.write_text(text)\n    return True\n",
    )

    failed = judged.program("run", "judged.yaml")

    assert failed.code == 1
    assert message("graders/changed-while-judging", path=judged.root / "rubric.py") in failed.err
    assert judged.state() == "run"


def test_an_edit_after_the_facts_were_taken_judges_nothing(judged: Judged) -> None:
    """Graders open only while their inputs are those of the record that the verdicts are stored under."""
    spec = CommandSpec(kind="command", command=("python", "judge.py"))
    scope = Scope(judged.root, judged.root, "name", "default", Settings(environment=dict(os.environ)))
    graders = named_graders([spec], scope)
    facts = judge_facts({each.name: each.identity() for each in graders}).facts
    record = KeyRecord(kind="generate", version=1, spec={}, inputs={}, files={}, facts=facts)

    async def verdict() -> bool:
        async with judging(graders, record) as [grader]:
            return (await grader.judge(Case(prompt="p", answer="a"))).passed

    assert asyncio.run(verdict())
    judged.write("rubric.py", "def passes(case): return False\n")
    with pytest.raises(StepFailed, match=matching("graders/input-has-just-changed")):
        asyncio.run(verdict())


@pytest.mark.parametrize(
    "fields",
    [
        ", environment: [NOWHERE_SET]",
        ", environment: ['${secret:NOWHERE_SET}']",
        "}, {kind: command, command: [nowhere]",
    ],
)
def test_what_a_grader_lacks_blocks_the_step(fields: str, judged: Judged) -> None:
    """A program, script or variable that is missing here is known before anything is asked."""
    judged.grader(fields.replace("}, {", "}\n      - {"))
    variable = judged.state()
    judged.grader()
    (judged.root / "judge.py").unlink()

    assert (variable, judged.state()) == ("blocked", "blocked")
