"""What travels with a reward file, what its key covers, and what it reads while it is tried."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from polytune.engine.answers import AnswerMemory
from polytune.engine.artifacts import Artifact, KeyRecord
from polytune.engine.budget import Budget, BudgetLimits
from polytune.engine.clock import RealClock
from polytune.engine.jobbook import JobBook
from polytune.engine.jobs import Jobs, Polling
from polytune.engine.ledger import Ledger
from polytune.engine.step import Scope, Work
from polytune.errors import StepFailed
from polytune.files import digest_of
from polytune.platforms.bedrock.platform import BedrockSpec
from polytune.platforms.bedrock.rewards import handler_file, names, package, tried
from polytune.platforms.interface import RewardTrial
from polytune.programs.packaged import PackagedProgram, ProgramPlace, packaged
from polytune.settings import Settings
from polytune.spec.model import JsonObject
from polytune.steps.reinforce import Reinforce, ReinforceSpec, RewardSpec
from tests.messages import matching, message

rollouts = [
    {"id": "1", "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
]
GRADE = "def grade(sample):\n    return {body}\n"


class RewardFiles:
    """A workspace with the reward file `graders/reward.py`, stated by a file in `experiments/`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "experiments").mkdir()
        self.write("reward.py", GRADE.format(body="1"))

    def write(self, name: str, text: str) -> Path:
        """Write a file of the folder of graders."""
        path = self.root / "graders" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def package(self, declared: Sequence[str] = (), *, only_warns: bool = False) -> PackagedProgram:
        """Return what would be packaged."""
        file = self.root / "graders" / "reward.py"
        place = ProgramPlace(file, self.root / "experiments", self.root, names)
        return packaged(place, declared, only_warns=only_warns)

    def tried(self, declared: Sequence[str] = (), *, only_warns: bool = False) -> RewardTrial:
        """Return the outcome of a trial."""
        return tried(self.package(declared, only_warns=only_warns), rollouts)

    def facts(self, declared: Sequence[str] = ()) -> JsonObject:
        """Return what the step adds to its key."""
        return self.step(declared).key_facts().facts

    def step(self, declared: Sequence[str] = ()) -> Reinforce:
        """Return the step."""
        reward = RewardSpec(file="../graders/reward.py", files=tuple(declared), function_role_arn="arn")
        platform = BedrockSpec(kind="bedrock", bucket="some", role_arn="arn:aws:iam::123456789012:role/some")
        spec = ReinforceSpec(platform=platform, base_model="nova-2-lite", reward=reward)
        scope = Scope(self.root, self.root / "experiments", "name", "default", Settings())
        return Reinforce(spec, {"reward.file": self.root / "graders" / "reward.py"}, scope)


@pytest.fixture
def reward(tmp_path: Path) -> RewardFiles:
    """A workspace whose reward file needs nothing."""
    return RewardFiles(tmp_path)


def test_a_single_file_travels_as_it_always_did(reward: RewardFiles) -> None:
    """Without further files the package and the key hold what they held before there were any."""
    reward.write("reward.py", "import json, re\n" + GRADE.format(body="1"))
    path = reward.root / "graders" / "reward.py"

    assert package(reward.package()) == {
        "grader.py": path.read_bytes(),
        "reward_handler.py": handler_file.read_bytes(),
    }
    assert reward.package().facts() == {}


def test_imports_and_declared_files_travel(reward: RewardFiles) -> None:
    """Modules of the file's folder and declared files are packaged under their own names, and tried so."""
    reward.write("reward.py", "import rules.strict\n" + GRADE.format(body="rules.strict.score()"))
    reward.write("rules/__init__.py", "")
    place = "pathlib.Path(__file__).parents[1] / 'data' / 'score.txt'"
    reward.write("rules/strict.py", f"import pathlib\ndef score(): return float(({place}).read_text())\n")
    reward.write("data/score.txt", "0.25")
    declared = ["../graders/data/*.txt"]

    files = package(reward.package(declared))

    assert sorted(files) == [
        "data/score.txt",
        "grader.py",
        "reward_handler.py",
        "rules/__init__.py",
        "rules/strict.py",
    ]
    assert reward.tried(declared).metrics["grader_mean_on_references"] == 0.25
    assert reward.package(declared).facts() == {
        name: digest_of(reward.root / "graders" / name)
        for name in ("data/score.txt", "rules/__init__.py", "rules/strict.py")
    }


@pytest.mark.parametrize(
    ("name", "declared"), [("rubric.py", ()), ("data/one.txt", ("../graders/data/one.txt",))]
)
def test_an_edit_moves_the_key(name: str, declared: tuple[str, ...], reward: RewardFiles) -> None:
    """Another import or declared file is another key and another package; a revert is the first again."""
    reward.write("reward.py", "import rubric\n" + GRADE.format(body="1"))
    reward.write("rubric.py", "x = 1")
    reward.write("data/one.txt", "1")
    text = (reward.root / "graders" / name).read_text()
    first = reward.facts(declared), package(reward.package(declared))

    reward.write(name, text + "\n")
    edited = reward.facts(declared), package(reward.package(declared))
    reward.write(name, text)

    assert first[0] != edited[0]
    assert first[1] != edited[1]
    assert (reward.facts(declared), package(reward.package(declared))) == first


READS = {
    "beside": "len((pathlib.Path(__file__).parent / 'data' / 'one.txt').read_text())",
    "in the workspace": "len(open('{root}/graders/data/one.txt').read())",
    "a folder": "len(os.listdir(os.path.join(os.path.dirname(__file__), 'data')))",
}


@pytest.mark.parametrize("read", READS)
def test_an_undeclared_read_fails_the_trial(read: str, reward: RewardFiles) -> None:
    """What the file reads of the workspace and nobody declared is named with the line to add."""
    reward.write("data/one.txt", "1")
    body = READS[read].replace("{root}", str(reward.root))
    reward.write("reward.py", "import os, pathlib\n" + GRADE.format(body=body))
    name = "data" if read == "a folder" else "data/one.txt"
    line = f"../graders/{name}" + "/**" * (read == "a folder")
    read_and_line = {"names": f"../graders/{name}", "line": line}

    with pytest.raises(StepFailed, match=matching("graders/read-not-part-of-key", **read_and_line)):
        reward.tried()

    if read == "in the workspace":
        with pytest.raises(StepFailed, match=matching("graders/workspace-is-not-deployed", name=name)):
            reward.tried([line])
    else:
        assert reward.tried([line]).metrics["grader_mean_on_references"] == 1


def test_an_undeclared_read_can_warn(reward: RewardFiles) -> None:
    """With the setting, the trial passes if the file does without, and the warning is in its outcome."""
    reward.write("data/one.txt", "1")
    reward.write("reward.py", GRADE.format(body=f"len(open('{reward.root}/graders/data/one.txt').read())"))

    [warning] = reward.tried(only_warns=True).warnings

    name = "../graders/data/one.txt"
    assert message("graders/read-not-part-of-key", names=name, line=name) in warning


def test_a_file_from_elsewhere_cannot_travel(reward: RewardFiles) -> None:
    """A declared file that is not below the reward file's folder is refused."""
    (reward.root / "experiments" / "words.txt").write_text("")

    with pytest.raises(StepFailed, match=matching("graders/cannot-travel", name="experiments/words.txt")):
        reward.package(["words.txt"])


@pytest.mark.parametrize("name", ["grader.py", "reward_handler.py"])
def test_a_name_that_is_taken_in_the_package(name: str, reward: RewardFiles) -> None:
    """A module with a name that the package needs for itself is refused."""
    reward.write("reward.py", f"import {name.removesuffix('.py')}\n" + GRADE.format(body="1"))
    reward.write(name, "x = 1")

    with pytest.raises(StepFailed, match=matching("graders/name-is-taken", name=name)):
        reward.package()


def test_a_module_may_import_the_reward_file_itself(reward: RewardFiles) -> None:
    """A circle of imports is packaged with the file under both of its names."""
    reward.write("reward.py", "import helper\nlimit = 1\n" + GRADE.format(body="helper.score()"))
    reward.write("helper.py", "def score():\n    import reward\n    return reward.limit\n")

    assert sorted(package(reward.package())) == ["grader.py", "helper.py", "reward.py", "reward_handler.py"]
    assert reward.tried().metrics["grader_mean_on_references"] == 1


@pytest.mark.parametrize("name", ["reward.py", "rubric.py"])
def test_only_what_is_keyed_is_deployed(name: str, reward: RewardFiles, ledger: Ledger) -> None:
    """An edit between the key and the package stops the step before anything is tried or deployed."""
    reward.write("reward.py", "import rubric\n" + GRADE.format(body="1"))
    reward.write("rubric.py", "x = 1")
    files = {"reward.file": digest_of(reward.root / "graders" / "reward.py")}
    record = KeyRecord(kind="reinforce", version=1, spec={}, inputs={}, files=files, facts=reward.facts())
    jobs = Jobs(JobBook(ledger), "key", "x/1 r", polling=Polling(RealClock()), forced=False, detached=print)
    work = Work(
        inputs={"dataset": Artifact(type="RemoteDataset", files={}, facts={"layout": "bedrock-rft"})},
        folder=reward.root,
        answers=AnswerMemory(ledger, "name"),
        jobs=jobs,
        report=print,
        budget=Budget(BudgetLimits()),
        root=reward.root,
        record=record,
    )
    reward.write(name, "import rubric\nx = 2\n")

    with pytest.raises(StepFailed, match=matching("graders/has-just-changed")):
        asyncio.run(reward.step().run(work))


def test_files_need_a_file() -> None:
    """Further files of a function that exists already are a problem of the spec."""
    arn = "arn:aws:lambda:us-east-1:123456789012:function:some"
    problems = RewardSpec(function_arn=arn, files=("x",)).problems()

    assert [problem.field for problem in problems] == ["files"]
