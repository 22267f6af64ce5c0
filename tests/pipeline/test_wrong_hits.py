"""What a step reads may be edited at a bad moment; its output is never found under another content's key.

    before the lock      after the plan and before the step begins
    during the work      while the step's judge is at work
    before the resume    between a failure and `resume`

Each time the input goes from A to B, and afterwards back to A. Then the output of A is that of a workspace
that has never seen B, and the other way round.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from polytune.engine.manifest import Manifest
from polytune.engine.selection import select
from polytune.engine.session import Session
from polytune.engine.step import STEPS
from polytune.wiring import OpenWorkspace
from tests.engine.engine_bench import eventually
from tests.pipeline.program import Program

JUDGE = """
import json, os, sys, time
wanted = "r"
words = open("words.txt").read().split()
for line in sys.stdin:
    open("started", "w").close()
    while os.path.exists("shut"):
        time.sleep(0.01)
    if os.path.exists("broken"):
        sys.exit(3)
    case = json.loads(line)
    answer = case["answer"]
    passed = answer[0] >= wanted and answer not in words and len(answer) > int(os.environ["LEVEL"])
    print(json.dumps({"id": case["id"], "passed": passed}), flush=True)
"""
COLOURS = ("red", "rosewood", "sand", "amber", "teal", "blue")
ANSWERS = "".join(f'{{"prompt": "Name a colour.", "answer": "{colour}"}}\n' for colour in COLOURS)
ROW = (
    '{"schemaVersion": "bedrock-conversation-2024", "messages": ['
    '{"role": "user", "content": [{"text": "%s"}]}, {"role": "assistant", "content": [{"text": "yes"}]}]}\n'
)


@dataclass(frozen=True)
class Watched:
    """One input of a step, and its two contents."""

    kind: str
    name: str
    before: str
    after: str
    in_process: bool = True
    """Whether a process that is at work already would see the change."""


STEPS_OF: Mapping[str, str] = {
    "generate": """
    prompts: prompts.yaml
    teacher: {kind: replay, path: answers.jsonl}
    count: 6
    on_reject: drop
    graders: [{kind: command, command: [python, judge.py], files: [words.txt], environment: [LEVEL]}]
""",
    "collect": "\n    sources: [{kind: csv, path: rows.csv, fields: {prompt: q, answer: a}}]\n",
    "dataset": "\n    train: rows.jsonl\n",
}
FILES = {
    "judge.py": JUDGE,
    "words.txt": "teal\n",
    "prompts.yaml": "system: Answer in one word.\ntemplates: [Name a colour.]\n",
    "answers.jsonl": ANSWERS,
    ".env": "LEVEL=2\n",
    "rows.csv": "q,a\nWhich?,This\n",
    "rows.jsonl": "".join(ROW % number for number in range(10)),
}
WATCHED = (
    Watched("generate", "judge.py", 'wanted = "r"', 'wanted = "s"'),
    Watched("generate", "words.txt", "teal", "red"),
    Watched("generate", "answers.jsonl", "rosewood", "rust"),
    Watched("generate", "prompts.yaml", "in one word", "in a word"),
    Watched("generate", ".env", "LEVEL=2", "LEVEL=3", in_process=False),
    Watched("collect", "rows.csv", "This", "That"),
    Watched("dataset", "rows.jsonl", "yes", "no"),
)
offline = {watched.kind for watched in WATCHED}
elsewhere = {
    **dict.fromkeys(("format", "validate", "upload", "distill", "deploy", "export"), "reads no file"),
    "augment": "asks a teacher, as generate does",
    "train": "a model folder: test_folders.py",
    "import_model": "a model folder: test_folders.py",
    "evaluate": "graders as generate's, and a model folder: test_folders.py",
    "reinforce": "a reward file: the tests of rewards in tests/platforms",
}
"""Kinds that are not tried here, and why."""


class Space:
    """A workspace with one step."""

    def __init__(self, root: Path, kind: str) -> None:
        self.root = root
        self.kind = kind
        (root / "runs").mkdir(parents=True)
        for name, text in FILES.items():
            (root / name).write_text(text)
        (root / "x.yaml").write_text(f"name: x\nsteps:\n  {kind}:{STEPS_OF[kind]}")

    def hold(self, watched: Watched, *, edited: bool) -> None:
        """The input has its content A, or B if edited."""
        text = FILES[watched.name]
        assert watched.before in text
        changed = text.replace(watched.before, watched.after) if edited else text
        (self.root / watched.name).write_text(changed)

    def run(self, watched: Watched | None = None) -> Manifest:
        """A run; the given input is edited between its plan and its work."""
        opened = OpenWorkspace.open(self.root / "x.yaml", self.root, creating=True)
        (compiled,) = opened.compile(self.root / "x.yaml", ())
        planner = opened.planner(compiled, select(compiled))
        plan = planner.plan(compiled)
        if watched is not None:
            self.hold(watched, edited=True)
        make_step = opened.step_factory(compiled).fresh
        manifest = Session(opened.workspace, planner, make_step, opened.settings, []).start(plan, {})
        opened.ledger.close()
        return manifest

    def output(self, manifest: Manifest) -> str:
        """The digest of what the step made; '' for nothing."""
        return manifest.steps[self.kind].output_digest


def clean(folder: Path, watched: Watched, *, edited: bool) -> str:
    """The output in a workspace that has never seen the other content."""
    space = Space(folder, watched.kind)
    space.hold(watched, edited=edited)
    return space.output(space.run())


def check(space: Space, watched: Watched, folder: Path) -> None:
    """A's output is A's and B's is B's, from wherever they are taken."""
    expected = {edited: clean(folder / str(edited), watched, edited=edited) for edited in (False, True)}
    assert expected[False] != expected[True]
    for edited in (False, True, False):
        space.hold(watched, edited=edited)
        assert space.output(space.run()) == expected[edited]


@contextmanager
def edited_at_work(space: Space, watched: Watched) -> Iterator[None]:
    """Once the judge is at work the input changes, and only then the judge goes on."""

    def change() -> None:
        eventually(lambda: (space.root / "started").exists(), "the judge to start")
        space.hold(watched, edited=True)
        (space.root / "shut").unlink()

    changing = threading.Thread(target=change)
    changing.start()
    yield
    changing.join()


def test_every_kind_is_tried_or_said_not_to_be() -> None:
    """A new step kind belongs into one of the two."""
    assert {*offline, *elsewhere} == set(STEPS.names())


@pytest.mark.parametrize("watched", [w for w in WATCHED if w.in_process], ids=lambda w: f"{w.kind} {w.name}")
def test_an_edit_before_the_lock(tmp_path: Path, watched: Watched) -> None:
    """The step works with B, and says so: its key is B's."""
    space = Space(tmp_path / "space", watched.kind)

    edited = space.run(watched)

    assert space.output(edited) == clean(tmp_path / "b", watched, edited=True)
    check(space, watched, tmp_path)


@pytest.mark.parametrize("name", ["judge.py", "words.txt", "answers.jsonl", "prompts.yaml"])
def test_an_edit_during_the_work(tmp_path: Path, name: str) -> None:
    """What was half of A and half of B is stored under no key."""
    (watched,) = [each for each in WATCHED if (each.kind, each.name) == ("generate", name)]
    space = Space(tmp_path / "space", "generate")
    (space.root / "shut").touch()

    with edited_at_work(space, watched):
        spoilt = space.run()

    assert spoilt.steps["generate"].status == "failed"
    assert space.output(spoilt) == ""
    check(space, watched, tmp_path)


@pytest.mark.parametrize("watched", [w for w in WATCHED if w.kind == "generate"], ids=lambda w: w.name)
def test_an_edit_before_the_resume(tmp_path: Path, watched: Watched) -> None:
    """The resumed step is planned again: its output is B's, under B's key."""
    space = Space(tmp_path / "space", "generate")
    (space.root / "broken").touch()
    assert space.run().steps["generate"].status == "failed"
    space.hold(watched, edited=True)
    (space.root / "broken").unlink()

    resumed = Program(space.root)("resume", "--json")

    assert resumed.code == 0, resumed.err
    assert resumed.json()["steps"]["generate"]["output_digest"] == clean(tmp_path / "b", watched, edited=True)
    check(space, watched, tmp_path)
