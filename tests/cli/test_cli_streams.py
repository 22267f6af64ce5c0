"""Standard streams that are closed, or that nobody reads any more, stop no command and spoil no file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.cli_program import Polytune, file

program = f"{sys.executable} -m polytune"


def shell(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """A shell's script, with the program as $P."""
    words = ["bash", "-c", f"set -o pipefail; P='{program}'; {script}"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing(polytune: Polytune, space: Path, closed: str) -> None:
    """What would have been printed is in no file: the ledger does not get the number of a stream."""
    done = shell(space, f"$P run {file} --force format {closed}")

    assert done.returncode == 0
    assert polytune(space, "ledger", "verify").stdout.startswith("sound: ")
    assert polytune(space, "status").stdout.splitlines()[0].split()[1] == "done"


def test_a_run_outlasts_the_reader_of_its_output(polytune: Polytune, space: Path) -> None:
    """Piped into a program that ends at once, it goes on to its end, and tells how it ended."""
    done = shell(space, f"$P run {file} --force generate 2>&1 | true")

    assert (done.returncode, done.stderr) == (0, "")
    assert polytune(space, "status").stdout.splitlines()[0].split()[1] == "done"


def test_a_failure_is_told_also_when_nobody_reads(space: Path) -> None:
    """The exit code is that of the command."""
    assert shell(space, "$P plan nothing.yaml 2>&1 | true").returncode == 2
    assert shell(space, "$P plan nothing.yaml 2>&-").returncode == 2
