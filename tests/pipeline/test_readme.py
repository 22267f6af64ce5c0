"""The README shows what is there: the commands, the shipped experiment, and figures a run printed."""

from __future__ import annotations

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
