"""The program, and a small workspace in which an experiment has run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.cli_program import Polytune, experiment_text, file, start


@pytest.fixture(scope="session")
def polytune() -> Polytune:
    """The program."""
    return start


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which `experiments/lines.yaml` has run; tests only read it."""
    folder = tmp_path_factory.mktemp("finished") / "lines"
    assert start(Path.cwd(), "init", str(folder)).returncode == 0
    (folder / file).write_text(experiment_text)
    done = start(folder, "run", file)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def space(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished workspace, to change."""
    copied = tmp_path / "lines"
    shutil.copytree(finished, copied, symlinks=True)
    return copied
