"""Messages name the packages of an extra, and never a distribution that nobody has published."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from polytune.extras import distribution, install_command

top = Path(__file__).parents[2]
project = tomllib.loads((top / "pyproject.toml").read_text("utf-8"))["project"]
extras: dict[str, list[str]] = project["optional-dependencies"]


def named(command: str) -> set[Requirement]:
    """What a shell would hand to pip."""
    program, verb, *requirements = shlex.split(command)
    assert (program, verb) == ("pip", "install")
    return {Requirement(one) for one in requirements}


def test_the_module_knows_the_name_of_the_distribution() -> None:
    """The name in pyproject.toml is the one whose metadata is read."""
    assert distribution == project["name"]


@pytest.mark.parametrize("extra", sorted(extras))
def test_an_extra_is_named_by_its_packages(extra: str) -> None:
    """The command holds the requirements of pyproject.toml, ranges included, and quotes them for a shell."""
    assert named(install_command(extra)) == {Requirement(one) for one in extras[extra]}


def test_one_package_of_an_extra_is_named_with_its_range() -> None:
    """A message about one package does not ask for the others."""
    assert install_command("rehearsal", "moto") == "pip install 'moto[server]>=5.2,<6'"
    assert named(install_command("local", "mini_racer")) == {
        Requirement(one) for one in extras["local"] if one.startswith("mini-racer")
    }


def test_a_package_that_no_metadata_knows_is_named_alone() -> None:
    """Without metadata the range is left out."""
    assert install_command("no such extra", "moto") == "pip install moto"
    assert install_command("no such extra") == "make quickstart"


def test_nothing_names_a_distribution_that_is_not_published() -> None:
    """No file that git tracks tells anybody to install polytune from an index."""
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=top, capture_output=True, text=True, check=False
    ).stdout
    if not files:
        pytest.skip("git does not list the files here")
    pattern = re.compile(r"polytune(?:-runner)?\[|pip install (?:-\S+ )*['\"]?polytune", re.ASCII)

    guilty = [
        name
        for name in filter(None, files.split("\0"))
        if not name.startswith("tests/packaging/")
        and name != "polytune/extras.py"
        and (top / name).is_file()
        and pattern.search((top / name).read_text("utf-8", errors="replace"))
    ]

    assert guilty == []
