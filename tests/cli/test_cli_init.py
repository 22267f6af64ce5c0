"""`polytune init`, `grader` and `completion`, and the settings that `.env.example` documents."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from polytune import settings
from polytune.data import prices
from polytune.graders.interface import GRADERS
from polytune.settings import load_settings
from tests.cli.cli_program import Polytune
from tests.messages import message

repository = Path(__file__).parents[2]
example = repository / ".env.example"


def test_a_new_project_plans_and_makes_its_data(polytune: Polytune, tmp_path: Path) -> None:
    """What init writes plans without a change and runs up to the checked dataset."""
    made = polytune(tmp_path, "init", "My Task")
    folder = tmp_path / "My Task"

    planned = polytune(folder, "plan", "experiments/my-task.yaml")
    done = polytune(folder, "run", "experiments/my-task.yaml", "--until", "validate", "--json")

    assert made.stdout.splitlines()[-1] == "next   cd 'My Task' && polytune plan experiments/my-task.yaml"
    assert (planned.returncode, planned.stderr) == (0, "")
    assert "blocked" not in planned.stdout
    assert done.returncode == 0
    steps = json.loads(done.stdout)["steps"]
    assert steps["generate"]["usage"]["requests"] == 96
    assert steps["validate"]["metrics"]["errors"] == 0
    assert steps["format"]["metrics"]["rows"]["test"] >= 5


def test_the_judge_passes_the_recorded_answers(polytune: Polytune, tmp_path: Path) -> None:
    """The scaffold's own judge accepts every answer that the scaffold recorded, and no nonsense."""
    polytune(tmp_path, "init", "--name", "task")
    recorded = (tmp_path / "answers" / "task.jsonl").read_text().splitlines()
    cases = [json.loads(line) for line in recorded] + [{"prompt": "Mail", "answer": "Search: ok. Fine."}]
    text = "".join(json.dumps({"id": n, **case}) + "\n" for n, case in enumerate(cases))

    judged = verdicts(tmp_path / "graders" / "task.py", text)

    assert [verdict["passed"] for verdict in judged] == [True] * 96 + [False]
    assert judged[-1]["reason"] == message("cli/prompt-does-not-mention-search")


def verdicts(program: Path, text: str) -> list[dict[str, object]]:
    """What a judge answers to lines."""
    done = subprocess.run(
        [sys.executable, str(program)], input=text, capture_output=True, text=True, check=True, timeout=60
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_nothing_is_overwritten(polytune: Polytune, tmp_path: Path) -> None:
    """A second init is refused as a whole, and one of another name only adds."""
    (tmp_path / "README.md").write_text("# Mine")
    (tmp_path / ".gitignore").write_text("dist/")
    (tmp_path / ".env.example").write_text("MINE=1\n")
    polytune(tmp_path, "init", "--name", "one")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    again = polytune(tmp_path, "init", "--name", "one")
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    other = polytune(tmp_path, "init", "--name", "two")

    assert again.returncode == 2
    assert "experiments/one.yaml, prompts/one.yaml, answers/one.jsonl, graders/one.py" in again.stderr
    assert before == after
    assert other.returncode == 0
    assert (tmp_path / ".env.example").read_text() == "MINE=1\n"
    assert (tmp_path / ".gitignore").read_text() == "dist/\n.env\n"
    readme = (tmp_path / "README.md").read_text()
    assert readme.startswith("# Mine\n")
    assert readme.count("polytune plan experiments/") == 2
    assert all(path.read_bytes() == content for path, content in before.items() if path.name != "README.md")


@pytest.mark.parametrize("kind", GRADERS.names())
def test_a_grader_says_what_it_needs(kind: str, polytune: Polytune, tmp_path: Path) -> None:
    """Without npm, kinds that need no building say so and the others say what is missing."""
    done = polytune(
        tmp_path, "grader", "build", kind, env={"PATH": str(tmp_path), "POLYTUNE_CACHE": str(tmp_path)}
    )

    if GRADERS.load(kind).needs_building:
        assert done.returncode == 3
        assert message("cli/npm-is-not-on-path") in done.stderr
    else:
        assert (done.returncode, done.stdout) == (0, message("cli/needs-no-building", kind=kind) + "\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_printed(shell: str, polytune: Polytune, tmp_path: Path) -> None:
    """The script of each shell calls the program back under the variable that it listens to."""
    done = polytune(tmp_path, "completion", shell)

    assert done.returncode == 0
    assert f"_POLYTUNE_COMPLETE={shell}_complete" in done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("polytune led", "plain,ledger"),
        ("polytune ledger re", "plain,rebuild"),
        ("polytune gc --k", "plain,--keep"),
    ],
)
def test_the_shell_gets_completions(words: str, expected: str, polytune: Polytune, tmp_path: Path) -> None:
    """Commands, their commands and options are completed."""
    place = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}

    done = polytune(tmp_path, env={"_POLYTUNE_COMPLETE": "bash_complete", **place})

    assert expected in done.stdout.splitlines()


def test_env_example_is_the_scaffold_s() -> None:
    """The repository's example is the one that init gives to projects."""
    assert example.read_text() == files("polytune.cli").joinpath("scaffold", "env.example").read_text()


def test_env_example_documents_every_variable(tmp_path: Path) -> None:
    """Each variable of the settings stands in the example, with the default that is really in force."""
    source = Path(str(settings.__file__)).read_text()
    uncommented = re.sub(r"(?m)^#(\w+=)", r"\1", example.read_text())
    (tmp_path / ".env").write_text(uncommented)
    home = {"HOME": str(Path.home())}

    stated = load_settings(tmp_path, home)

    assert set(re.findall(r"POLYTUNE_\w+", uncommented)) == {
        *re.findall(r"POLYTUNE_\w+", source),
        prices.variable,
    }
    assert len(re.findall(r"(?m)^POLYTUNE_\w+=", uncommented)) == 10
    expected = load_settings(tmp_path / "nowhere", home)
    names = (
        "concurrency",
        "threads",
        "poll_seconds",
        "stall_seconds",
        "clock_url",
        "log_format",
        "cache_folder",
    )
    assert [getattr(stated, name) for name in names] == [getattr(expected, name) for name in names]
