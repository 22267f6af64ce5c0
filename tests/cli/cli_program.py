"""The program as a user starts it, and the small experiment that the tests of its commands run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

experiment_text = """\
name: lines
project: lines
seed: 7
platform: {kind: local}
steps:
  generate:
    prompts: ../prompts/lines.yaml
    teacher: {kind: replay, path: ../answers/lines.jsonl}
    count: 40
    matrix: {audience: [customers, engineers]}
  format: {system: short}
  validate: {base_model: tiny-llama}
  upload: {}
"""
program_seconds = 120
file = "experiments/lines.yaml"


class Polytune(Protocol):
    """Runs the program in a folder."""

    def __call__(
        self, folder: Path, *words: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The program has ended, and not with a traceback."""


def start(
    folder: Path, *words: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The program has ended, and not with a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "polytune", *words],
        cwd=folder,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=program_seconds,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done
