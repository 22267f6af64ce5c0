"""A Python that is too old and an environment that does not work are told in one sentence with a remedy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

script = Path(__file__).parents[2] / ".ci" / "venv"


def prepared(folder: Path, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    """What the script that every make target begins with does about a folder."""
    environment = {**os.environ, "PYTHON": python}
    return subprocess.run([script, folder], env=environment, capture_output=True, text=True, check=False)


def program(path: Path, body: str) -> Path:
    """A program of the shell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n", "utf-8")
    path.chmod(0o755)
    return path


def bare(folder: Path) -> Path:
    """A virtual environment without pip, which is made in no time."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder


OLD = 'case "$2" in *print*) echo 3.10 ;; *) exit 1 ;; esac'
"""A Python that says it is 3.10."""


def test_an_old_python_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    """The message names both versions and how to choose another Python."""
    python = program(tmp_path / "python3", OLD)

    done = prepared(tmp_path / "venv", str(python))

    assert done.returncode == 1
    assert f"needs Python 3.11 or newer, and `{python}` is 3.10" in done.stderr
    assert "PYTHON=" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_a_python_that_is_not_there_is_named(tmp_path: Path) -> None:
    """No shell error stands in for the reason."""
    done = prepared(tmp_path / "venv", str(tmp_path / "nowhere"))

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"`{tmp_path}/nowhere` does not start" in done.stderr
    assert "PYTHON=" in done.stderr


def test_a_python_that_makes_no_environment_leaves_none(tmp_path: Path) -> None:
    """Debian's Python without python3-venv fails half-way; the remedy names the package."""
    body = 'if [ "$1" = -m ]; then mkdir "$3"; exit 1; fi; case "$2" in *print*) echo 3.12 ;; esac'
    python = program(tmp_path / "python3", body)

    done = prepared(tmp_path / "venv", str(python))

    assert done.returncode == 1
    assert "python3-venv" in done.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize("kind", ["gone", "old", "moved", "without pip", "a file"])
def test_an_environment_that_does_not_work_is_told_with_its_remedy(tmp_path: Path, kind: str) -> None:
    """One line says what is wrong with it, and to remove it; nothing is removed unasked."""
    venv = tmp_path / "venv"
    expected = {
        "gone": "its Python is gone",
        "old": "was made with Python 3.10",
        "moved": "was made in another folder",
        "without pip": "has no working pip",
        "a file": "its Python is gone",
    }
    match kind:
        case "gone":
            bare(venv)
            (venv / "bin" / "python").unlink()
            (venv / "bin" / "python").symlink_to(tmp_path / "uninstalled")
        case "old":
            program(venv / "bin" / "python", OLD)
        case "moved":
            bare(tmp_path / "elsewhere").rename(venv)
        case "without pip":
            bare(venv)
        case _:
            venv.write_text("", "utf-8")

    done = prepared(venv)

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert expected[kind] in done.stderr
    assert f"rm -rf {venv}" in done.stderr
    assert venv.exists()


def test_an_environment_that_works_is_left_alone() -> None:
    """Nothing is said about it."""
    if not (Path(sys.prefix) / "bin" / "activate").exists():
        pytest.skip("these tests run outside of a virtual environment")

    done = prepared(Path(sys.prefix))

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
