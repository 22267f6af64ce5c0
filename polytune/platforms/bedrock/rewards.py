"""A local Python grader as a Lambda function, tried on this machine before anything is trained with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from polytune import umask
from polytune.errors import StepFailed
from polytune.platforms.interface import RewardTrial
from polytune.programs.packaged import PackagedProgram
from polytune.programs.reads import ReadReport

main_name = "grader.py"
handler_file = Path(__file__).with_name("reward_handler.py")
within_seconds = 120
names = (main_name, handler_file.name)
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


@dataclass(frozen=True)
class RewardAttempt:
    """What one process of the trial said."""

    lines: list[_Line]
    warning: str = ""


def package(reward: PackagedProgram) -> dict[str, bytes]:
    """The files of the function's package."""
    return reward.files(main_name, {handler_file.name: handler_file.read_bytes()})


def tried(reward: PackagedProgram, rollouts: Sequence[Mapping[str, Any]]) -> RewardTrial:
    """What two tries on real rows showed: mean score, slowest call.

    Raises StepFailed for a grader that raises, varies, takes too long, scores outside 0 to 1, or reads what
    is not in its package.
    """
    grader = reward.place.main
    first, second = (_tried_once(reward, rollouts, seed) for seed in hash_seeds)
    for one, other in zip(first.lines, second.lines, strict=True):
        if one.error:
            raise StepFailed(f"{grader}: grade() failed on row {one.id}: {one.error}")
        if isinstance(one.score, bool) or not isinstance(one.score, int | float) or not 0 <= one.score <= 1:
            given = f"{one.score!r} for row {one.id}"
            raise StepFailed(f"{grader}: grade() gave {given}; give a number from 0 to 1")
        if one.score != other.score:
            what = f"{one.score!r} and then {other.score!r} for row {one.id}"
            raise StepFailed(f"{grader}: grade() gave {what}; a reward must not depend on chance")
    slowest = max((line.seconds for line in (*first.lines, *second.lines)), default=0.0)
    if slowest > slow_seconds:
        raise StepFailed(f"{grader}: grade() took {slowest:.1f} s for one answer; it is called for every one")
    scores = [float(line.score) for line in first.lines]
    metrics = {
        "grader_rows_tried": len(scores),
        "grader_mean_on_references": round(sum(scores) / len(scores), 4) if scores else 0.0,
        "grader_slowest_seconds": round(slowest, 3),
    }
    return RewardTrial(metrics, tuple(dict.fromkeys(filter(None, (first.warning, second.warning)))))


def _tried_once(reward: PackagedProgram, rollouts: Sequence[Mapping[str, Any]], seed: str) -> RewardAttempt:
    """What a process said that ran nothing but the package, as Lambda will."""
    with tempfile.TemporaryDirectory(prefix="polytune-reward-") as folder:
        placed = Path(os.path.realpath(folder))
        for name, content in package(reward).items():
            path = placed / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        report = ReadReport(placed, Path(os.path.realpath(reward.place.root)))
        try:
            lines: list[_Line] | StepFailed = _scores(
                reward,
                rollouts,
                placed,
                report.environment({"PYTHONHASHSEED": seed, "PATH": "", "PYTHONPATH": str(placed)}),
            )
        except StepFailed as failed:
            lines = failed
        try:
            # First: a file that was not found is best explained by what the package lacks.
            warning = reward.warning(report.new_reads(), placed)
        finally:
            report.close()
    if isinstance(lines, StepFailed):
        raise lines
    return RewardAttempt(lines, warning)


def _scores(
    reward: PackagedProgram, rollouts: Sequence[Mapping[str, Any]], placed: Path, environment: dict[str, str]
) -> list[_Line]:
    grader = reward.place.main
    # Neither the user's own packages nor the current folder: what it imports must be in the package.
    command = [sys.executable, "-P", "-s", str(placed / handler_file.name), str(placed / main_name)]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(list(rollouts)),
            capture_output=True,
            text=True,
            timeout=within_seconds,
            cwd=placed,
            env=environment,
            umask=umask.usual(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StepFailed(f"{grader}: {len(rollouts)} answers took longer than {within_seconds} s") from error
    lines = [msgspec.json.decode(line, type=_Line) for line in done.stdout.splitlines() if line[:1] == "{"]
    if done.returncode or len(lines) != len(rollouts):
        last = (done.stderr.strip().splitlines() or ["it printed no scores"])[-1]
        raise StepFailed(f"{grader}: the grader cannot run: {last}")
    return lines
