"""The wheel holds the package, all of it, and nothing else."""

from __future__ import annotations

import subprocess
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.packaging.try_wheel import built

top = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    """The wheel of this checkout."""
    return ZipFile(built(tmp_path_factory.mktemp("wheel")))


def test_the_wheel_holds_what_git_tracks_of_the_package(wheel: ZipFile) -> None:
    """Every file of polytune/ is in it; beside them stands its metadata only."""
    done = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "polytune"],
        cwd=top,
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout:
        pytest.skip("git does not list the files here")
    expected = {name for name in done.stdout.splitlines() if (top / name).is_file()}

    found = {name for name in wheel.namelist() if not name.startswith("polytune_runner-")}
    assert found == expected


def test_the_metadata_names_the_distribution_and_its_command(wheel: ZipFile) -> None:
    """The distribution is polytune-runner; the command stays polytune."""
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    (entries,) = (name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt"))

    assert Parser().parsestr(wheel.read(metadata).decode())["Name"] == "polytune-runner"
    assert "polytune = polytune.cli.main:main" in wheel.read(entries).decode()
