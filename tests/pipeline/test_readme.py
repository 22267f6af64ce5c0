"""The README shows what is there: the commands, the shipped experiment, and figures a run printed."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import polytune.strudel.grader
from polytune.cli.main import summaries
from tests.pipeline.program import repository

readme = (repository / "README.md").read_text(encoding="utf-8")


def test_every_command_is_listed_as_help_says_it() -> None:
    """The README's list of commands is the program's own."""
    listed = "\n".join(f"{name:<12}{summary}" for name, summary in summaries.items())

    assert listed in readme


def test_the_experiment_shown_is_the_one_that_ships() -> None:
    """The YAML in the README is the quickstart, to the letter."""
    assert (repository / "experiments/quickstart.yaml").read_text(encoding="utf-8") in readme


def test_every_command_has_its_file() -> None:
    """Each command that --help lists is one file, or one folder with a `group.py`, of the command line."""
    cli = repository / "polytune/cli"
    files = {path.stem for path in cli.glob("*.py")} | {path.parent.name for path in cli.glob("*/group.py")}

    assert set(summaries) <= files


def test_every_path_that_the_readme_names_exists() -> None:
    """Links and files in the README lead somewhere."""
    for name in (
        "docs/benchmarks.md",
        "docs/decisions",
        ".github/CONTRIBUTING.md",
        "CHANGELOG.md",
        ".env.example",
    ):
        assert name in readme
        assert (repository / name).exists()


def test_the_entry_points_shown_are_those_of_the_package() -> None:
    """The README's example of entry points is the project's own list, all of it."""
    shown = tomllib.loads(_block("toml", "entry-points"))
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert shown["project"]["entry-points"] == project["entry-points"]


def test_the_plugin_shown_is_the_one_that_ships() -> None:
    """Classes, bases, fields and signatures in the README are those of Strudel's grader."""
    real = _outline(Path(polytune.strudel.grader.__file__).read_text(encoding="utf-8"))
    shown = _outline(_block("python", "class StrudelGrader"))

    assert shown.keys() == {"StrudelSpec", "StrudelGrader"}
    for name, lines in shown.items():
        assert lines <= real[name]


def _block(language: str, holding: str) -> str:
    """The README's code block in a language that holds a text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", readme, re.DOTALL)
    [found] = [block for block in blocks if holding in block]
    return str(found)


def _outline(code: str) -> dict[str, set[str]]:
    """Of each class, its bases, fields with their docstrings, and the signatures of its methods."""
    found: dict[str, set[str]] = {}
    for cls in (node for node in ast.parse(code).body if isinstance(node, ast.ClassDef)):
        lines = found[cls.name] = {f"class {cls.name}({', '.join(map(ast.unparse, cls.bases))})"}
        for node in cls.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                node.body = [ast.Expr(ast.Constant(...))]
            lines.add(ast.unparse(node))
        lines.discard("...")
    return found
