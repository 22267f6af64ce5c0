"""A local Python grader as a Lambda function, tried on this machine before anything is trained with it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from polytune.engine.artifacts import Facts
from polytune.errors import StepFailed

handler_file = Path(__file__).with_name("reward_handler.py")
within_seconds = 120
slow_seconds = 5.0
"""AWS advises seconds for a reward function; its own limit is 15 minutes."""
hash_seeds = ("1", "2")
"""Two tries in processes that hash differently: what depends on hashing or on chance shows."""


class _Line(msgspec.Struct):
    """What the handler says of one rollout."""

    id: str
    seconds: float
    score: Any = None
    error: str = ""


def package(grader: Path) -> dict[str, bytes]:
    """The files of the function's package."""
    return {"reward_handler.py": handler_file.read_bytes(), "grader.py": grader.read_bytes()}


def tried(grader: Path, rollouts: Sequence[Mapping[str, Any]]) -> Facts:
    """What two tries on real rows showed: mean score, slowest call.

    Raises StepFailed for a grader that raises, varies, takes too long, or scores outside 0 to 1.
    """
    first, second = (_tried_once(grader, rollouts, seed) for seed in hash_seeds)
    for one, other in zip(first, second, strict=True):
        if one.error:
            raise StepFailed(f"{grader}: grade() failed on row {one.id}: {one.error}")
        if isinstance(one.score, bool) or not isinstance(one.score, int | float) or not 0 <= one.score <= 1:
            given = f"{one.score!r} for row {one.id}"
            raise StepFailed(f"{grader}: grade() gave {given}; give a number from 0 to 1")
        if one.score != other.score:
            what = f"{one.score!r} and then {other.score!r} for row {one.id}"
            raise StepFailed(f"{grader}: grade() gave {what}; a reward must not depend on chance")
    slowest = max(line.seconds for line in (*first, *second))
    if slowest > slow_seconds:
        raise StepFailed(f"{grader}: grade() took {slowest:.1f} s for one answer; it is called for every one")
    scores = [float(line.score) for line in first]
    return {
        "grader_rows_tried": len(scores),
        "grader_mean_on_references": round(sum(scores) / len(scores), 4) if scores else 0.0,
        "grader_slowest_seconds": round(slowest, 3),
    }


def _tried_once(grader: Path, rollouts: Sequence[Mapping[str, Any]], seed: str) -> list[_Line]:
    command = [sys.executable, "-I", str(handler_file), str(grader)]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(list(rollouts)),
            capture_output=True,
            text=True,
            timeout=within_seconds,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StepFailed(f"{grader}: {len(rollouts)} answers took longer than {within_seconds} s") from error
    lines = [msgspec.json.decode(line, type=_Line) for line in done.stdout.splitlines() if line[:1] == "{"]
    if done.returncode or len(lines) != len(rollouts):
        last = (done.stderr.strip().splitlines() or ["it printed no scores"])[-1]
        raise StepFailed(f"{grader}: the grader cannot run: {last}")
    return lines
