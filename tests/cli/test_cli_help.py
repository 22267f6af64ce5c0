"""What the program says about itself, and what it must not import to do so."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import polytune.cli as commands_folder
from polytune import __version__
from polytune.cli.main import summaries
from tests.cli.cli_program import Polytune, file

heavy = (
    "aiohttp",
    "asyncio",
    "boto3",
    "botocore",
    "jinja2",
    "pydantic",
    "rich",
    "structlog",
    "tenacity",
    "torch",
    "transformers",
    "yaml",
)
probe = """
import json, sys
from polytune.cli.main import main
try:
    main({arguments!r})
except SystemExit as ended:
    found = sorted(name for name in {heavy!r} if name in sys.modules)
    print(json.dumps([ended.code, found]), file=sys.stderr)
"""
not_commands = {"lines", "main", "options", "outcome", "screen"}


@pytest.mark.parametrize("command", sorted(summaries))
def test_every_command_has_help(command: str, polytune: Polytune, tmp_path: Path) -> None:
    """`--help` of each command prints its usage to stdout and says what it does."""
    done = polytune(tmp_path, command, "--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert f"polytune {command}" in done.stdout.splitlines()[0]
    assert "--help" in done.stdout


def test_help_lists_every_command(polytune: Polytune, tmp_path: Path) -> None:
    """Each file in the folder that is a command is in the program's help, with its summary."""
    done = polytune(tmp_path, "--help")

    listed = " ".join(done.stdout.split())
    assert all(f"{name} {summary}" in listed for name, summary in summaries.items())
    modules = {module.name for module in pkgutil.iter_modules(commands_folder.__path__)}
    assert {name for name in modules - not_commands if not name.startswith("_")} <= summaries.keys()


def test_the_version_is_the_package_s(polytune: Polytune, tmp_path: Path) -> None:
    """`--version` prints the version."""
    assert polytune(tmp_path, "--version").stdout == f"polytune, version {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 0), (["plan", file], 0), (["run", file], 0), (["ls"], 0)],
    ids=["help", "plan", "run", "ls"],
)
def test_a_command_with_nothing_to_do_imports_nothing_heavy(
    arguments: list[str], code: int, finished: Path
) -> None:
    """Help, and plan and run of a finished experiment, leave every large library alone."""
    script = probe.format(arguments=arguments, heavy=heavy)

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=finished, capture_output=True, text=True, check=False, timeout=60
    )

    assert json.loads(done.stderr.splitlines()[-1]) == [code, []]
    assert done.stdout
