"""Runs polytune as a user does: a process of its own, in a workspace made for the test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

repository = Path(__file__).parents[2]


@dataclass(frozen=True)
class Said:
    """What the program printed and how it ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Standard output, parsed."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Program:
    """polytune in one workspace, which links to the shipped experiments and prompts."""

    root: Path

    def __call__(self, *words: str) -> Said:
        """The program's answer to a command line."""
        done = subprocess.run(
            [sys.executable, "-m", "polytune", *words],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "POLYTUNE_POLL_SECONDS": "0.2", "POLYTUNE_THREADS": "1"},
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Said(done.returncode, done.stdout, done.stderr)

    def run(self, *words: str) -> dict[str, Any]:
        """The manifest of a run that must succeed."""
        said = self("run", *words, "--json")
        assert said.code == 0, said.err
        manifest: dict[str, Any] = said.json()
        return manifest


def workspace(root: Path) -> Program:
    """A fresh workspace with copies of what ships."""
    for name in ("experiments", "prompts", "graders"):
        folder = root / name
        folder.mkdir()
        for path in (repository / name).glob("*.*"):
            (folder / path.name).write_bytes(path.read_bytes())
    (root / "runs").mkdir()
    return Program(root)
