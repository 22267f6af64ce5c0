"""The exit codes: one table, from which help, documentation and every command take them."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import polytune.cli as commands_folder
from polytune import errors
from polytune.errors import ExitCode, PolytuneError
from tests.cli.cli_program import Polytune, file

README = Path(__file__).parents[2] / "README.md"
blocked_text = """\
name: lines
project: lines
platform: {kind: local}
steps:
  generate:
    prompts: ../prompts/lines.yaml
    teacher: {kind: replay, path: ../answers/lines.jsonl}
    graders: [{kind: command, command: [no-such-program-anywhere]}]
    count: 4
    matrix: {audience: [customers, engineers]}
"""


def failures() -> list[type[PolytuneError]]:
    """Every class of deliberate failure in `errors`."""
    members = [member for _, member in inspect.getmembers(errors, inspect.isclass)]
    return [member for member in members if issubclass(member, PolytuneError)]


@pytest.mark.parametrize("failure", failures(), ids=lambda failure: failure.__name__)
def test_every_failure_has_a_code_of_the_table(failure: type[PolytuneError]) -> None:
    """The code of a class is a member of `ExitCode`, and the tree in the docstring states the same."""
    lines = (
        line.removeprefix("├── ").removeprefix("└── ").split() for line in (errors.__doc__ or "").splitlines()
    )
    stated = {words[0]: words[1] for words in lines if len(words) > 1}

    assert isinstance(failure.exit_code, ExitCode)
    assert stated[failure.__name__] == str(int(failure.exit_code))


def test_help_and_readme_print_the_table(polytune: Polytune, tmp_path: Path) -> None:
    """Each code stands in `--help` and in the README, with its meaning."""
    shown = " ".join(polytune(tmp_path, "--help").stdout.split())
    documented = README.read_text(encoding="utf-8")

    for code in ExitCode:
        assert f"{int(code)} {code.meaning}" in shown
        assert f"| {int(code)} | {code.meaning} |" in documented


def test_no_command_exits_with_a_number_of_its_own() -> None:
    """Commands take their codes from the table."""
    found = []
    for path in sorted(Path(commands_folder.__path__[0]).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "exit"
            ):
                constants = [each for each in ast.walk(node) if isinstance(each, ast.Constant)]
                found += [f"{path.name}:{each.lineno}" for each in constants if isinstance(each.value, int)]

    assert found == []


def test_a_plan_with_work_exits_with_10_only_on_request(polytune: Polytune, finished: Path) -> None:
    """`polytune plan X && polytune run X` runs; `--exit-code` tells work from nothing to do."""
    changed = ("--set", "steps.generate.count=44")

    assert polytune(finished, "plan", file).returncode == ExitCode.DONE
    assert polytune(finished, "plan", file, "--exit-code").returncode == ExitCode.DONE
    assert polytune(finished, "plan", file, *changed).returncode == ExitCode.DONE
    assert polytune(finished, "plan", file, *changed, "--exit-code").returncode == ExitCode.TO_DO


def test_what_is_blocked_exits_with_3_in_plan_and_run(polytune: Polytune, space: Path) -> None:
    """Both name the step and the cause; the run does nothing."""
    (space / file).write_text(blocked_text)

    planned = polytune(space, "plan", file, "--exit-code")
    run = polytune(space, "run", file)

    assert (planned.returncode, run.returncode) == (ExitCode.BLOCKED, ExitCode.BLOCKED)
    assert "no-such-program-anywhere" in planned.stdout
    assert "no-such-program-anywhere" in run.stderr
