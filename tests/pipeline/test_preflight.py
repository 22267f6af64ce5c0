"""What a plan calls `run` is stopped by nothing that could be known before; what would stop it is blocked.

Each obstacle is put into a workspace in which everything else is right. Then the plan blocks the step with a
cause and a remedy, a run says the same and does nothing, and without the obstacle the run goes through.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from polytune.errors import ExitCode
from tests.pipeline.program import Program, Said

EXPERIMENT = """
name: careful
steps:
  generate:
    prompts: prompts.yaml
    teacher: {kind: replay, path: answers.jsonl}
    count: 2
    graders:
      - {kind: command, command: [python, judge.py], environment: [PREFLIGHT_LEVEL]}
  collect: {sources: [{kind: csv, path: rows.csv, fields: {prompt: question, answer: reply}}]}
"""
FILES = {
    "experiment.yaml": EXPERIMENT,
    "prompts.yaml": "system: Answer in one word.\ntemplates: [Name a colour.]\n",
    "answers.jsonl": (
        '{"prompt": "Name a colour.", "answer": "red"}\n{"prompt": "Name a colour.", "answer": "blue"}\n'
    ),
    "rows.csv": "question,reply\nWhich?,This\n",
    "judge.py": (
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    print(json.dumps({'id': json.loads(line)['id'], 'passed': True}), flush=True)\n"
    ),
}
nowhere = {
    "AWS_ACCESS_KEY_ID": "",
    "AWS_PROFILE": "",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""An environment in which nobody has stated AWS credentials."""


@dataclass(frozen=True)
class Obstruction:
    """One thing that is wrong, and what the plan says of it."""

    name: str
    step: str
    says: str
    changes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """File: text and its replacement."""
    environment: Mapping[str, str] = field(default_factory=dict)


offline = (
    Obstruction(
        "a variable of a grader is not set",
        "generate",
        "PREFLIGHT_LEVEL",
        {"experiment.yaml": ("PREFLIGHT_LEVEL", "PREFLIGHT_LEVEL_THAT_NOBODY_SET")},
    ),
    Obstruction(
        "a grader's program is not installed",
        "generate",
        "no-such-program",
        {"experiment.yaml": ("[python, judge.py]", "[no-such-program]")},
    ),
    Obstruction(
        "a recording lacks an answer",
        "generate",
        "no recorded answer 2 to 'Name a colour.'",
        {"answers.jsonl": ('{"prompt": "Name a colour.", "answer": "blue"}\n', "")},
    ),
    Obstruction(
        "a recording is no recording",
        "generate",
        "answers.jsonl:1: is not a recorded answer",
        {"answers.jsonl": ('"answer": "red"', '"reply": "red"')},
    ),
    Obstruction(
        "a table lacks a column", "collect", "reply", {"rows.csv": ("question,reply", "question,answer")}
    ),
    Obstruction(
        "a table has no rows", "collect", "the sources are empty", {"rows.csv": ("Which?,This\n", "")}
    ),
)
TEACHER = "teacher: {kind: replay, path: answers.jsonl}"
HTTP = "teacher: {kind: openai_compatible, url: 'https://models.invalid/v1', model: m"
paid = (
    Obstruction(
        "a key is not set",
        "generate",
        "PREFLIGHT_KEY",
        {"experiment.yaml": (TEACHER, HTTP + ', api_key: "${secret:PREFLIGHT_KEY}"}')},
    ),
    Obstruction(
        "no price is known under a budget",
        "generate",
        "no price is known",
        {
            "experiment.yaml": (
                f"steps:\n  generate:\n    prompts: prompts.yaml\n    {TEACHER}",
                f"budget: {{usd: 5}}\nsteps:\n  generate:\n    prompts: prompts.yaml\n    {HTTP}}}",
            )
        },
    ),
    Obstruction(
        "a budget of requests is too small",
        "generate",
        "at least 2 times, and 1 are allowed",
        {
            "experiment.yaml": (
                f"steps:\n  generate:\n    prompts: prompts.yaml\n    {TEACHER}",
                f"budget: {{requests: 1}}\nsteps:\n  generate:\n    prompts: prompts.yaml\n    {HTTP}}}",
            )
        },
    ),
    Obstruction(
        "there are no credentials",
        "generate",
        "there are no AWS credentials on this machine",
        {"experiment.yaml": (TEACHER, "teacher: {kind: bedrock, model: nova-pro, region: us-east-1}")},
        nowhere,
    ),
)


class Space:
    """A workspace with obstructions in it."""

    def __init__(self, root: Path, obstructions: Iterable[Obstruction]) -> None:
        self.root = root
        self.environment = {"PREFLIGHT_LEVEL": "3"}
        files = dict(FILES)
        for each in obstructions:
            self.environment |= each.environment
            for name, (before, after) in each.changes.items():
                assert before in files[name], (each.name, name)
                files[name] = files[name].replace(before, after)
        for name, text in files.items():
            (root / name).write_text(text)
        (root / "runs").mkdir(exist_ok=True)

    def __call__(self, *words: str) -> Said:
        """The program's answer."""
        lines = [f"{name}={value}\n" for name, value in self.environment.items() if value]
        (self.root / ".env").write_text("".join(lines))
        kept = {name: os.environ.pop(name) for name in self.environment if name in os.environ}
        try:
            return Program(self.root)(*words)
        finally:
            os.environ.update(kept)


def check(space: Space, obstructions: Iterable[Obstruction]) -> None:
    """The plan and the run say of each obstruction what they should; nothing was begun."""
    planned = space("plan", "experiment.yaml", "--json")
    assert planned.code == ExitCode.BLOCKED, planned.out + planned.err
    steps = {step["id"]: step for step in json.loads(planned.out)[0]["steps"]}
    ran = space("run", "experiment.yaml", "--yes")
    assert ran.code == ExitCode.BLOCKED, ran.err
    assert "Nothing was run." in ran.err
    told: dict[str, list[Obstruction]] = {each.step: [] for each in obstructions}
    for each in obstructions:
        told[each.step].append(each)
    for name, wrong in told.items():
        assert steps[name]["state"] == "blocked"
        obstacle = steps[name]["obstacle"]
        # Of several in one step the first one is told.
        assert any(each.says in f"{obstacle['cause']} {obstacle['remedy']}" for each in wrong), obstacle
        assert obstacle["cause"].split(". ")[0] in ran.err
        assert obstacle["remedy"] or ". " in obstacle["cause"], "no remedy"
    for name, step in steps.items():
        assert (step["state"] == "blocked") == (name in told), step
    assert not list(space.root.glob("runs/careful/*/manifest.json"))


@pytest.mark.parametrize("wrong", [*offline, *paid], ids=lambda each: each.name)
def test_what_would_stop_a_step_blocks_it(tmp_path: Path, wrong: Obstruction) -> None:
    """Each obstacle alone."""
    check(Space(tmp_path, [wrong]), [wrong])


@pytest.mark.parametrize(
    "pair",
    [(one, two) for one, two in itertools.combinations(offline, 2) if one.step != two.step],
    ids=lambda pair: f"{pair[0].name} and {pair[1].name}",
)
def test_two_steps_are_blocked_at_once(tmp_path: Path, pair: tuple[Obstruction, Obstruction]) -> None:
    """Every step is examined, so that one plan shows all that has to be mended."""
    check(Space(tmp_path, pair), pair)


def test_without_obstacles_the_run_goes_through(tmp_path: Path) -> None:
    """What the plan calls `run` is done."""
    space = Space(tmp_path, [])
    assert space("plan", "experiment.yaml").code == ExitCode.DONE

    manifest = json.loads(space("run", "experiment.yaml", "--json").out)

    assert {name: step["status"] for name, step in manifest["steps"].items()} == {
        "generate": "done",
        "collect": "done",
    }
