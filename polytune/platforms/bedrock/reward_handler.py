"""Runs a user's grader as the reward function of reinforcement fine-tuning: in Lambda, and here beforehand.

It stands alone, because it travels inside the function's package next to the user's file, which defines

    def grade(sample):          # {"messages", "answer", "reference_answer", and the row's other fields}
        return 0.75             # a number from 0 to 1, or {"score": 0.75, "metrics": {"syntax": 1.0}}

Bedrock sends a list of rollouts and wants their scores; called as a program, it reads such a list from
standard input and writes each score with the seconds that it took.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

grader_name = "grader.py"
Grade = Callable[[dict[str, Any]], Any]


def handler(event: list[dict[str, Any]], context: object) -> list[dict[str, Any]]:
    """The scores of a batch of rollouts, as Bedrock's contract for reward functions has them."""
    grade = _loaded(os.path.join(os.path.dirname(os.path.abspath(__file__)), grader_name))
    return [_scored(grade, rollout) for rollout in event]


def _loaded(path: str) -> Grade:
    spec = importlib.util.spec_from_file_location("grader", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    grade: Grade = module.grade
    return grade


def _scored(grade: Grade, rollout: dict[str, Any]) -> dict[str, Any]:
    *before, answer = rollout["messages"]
    metadata = rollout.get("metadata") or {}
    reference = metadata.get("reference_answer", rollout.get("reference_answer"))
    sample = {**metadata, "messages": before, "answer": answer["content"], "reference_answer": reference}
    given = grade(sample)
    score, metrics = (given["score"], given.get("metrics", {})) if isinstance(given, dict) else (given, {})
    listed = [{"name": name, "value": value, "type": "Metric"} for name, value in metrics.items()]
    return {"id": rollout["id"], "aggregate_reward_score": score, "metrics_list": listed}


def main() -> None:
    """One line a rollout: its score, or what went wrong, and the seconds it took."""
    grade = _loaded(sys.argv[1])
    for rollout in json.load(sys.stdin):
        started = time.perf_counter()
        try:
            told = {"score": _scored(grade, rollout)["aggregate_reward_score"]}
        except Exception as error:  # noqa: BLE001  (the user's code may raise anything; all of it is reported)
            told = {"error": f"{type(error).__name__}: {error}"}
        line = {"id": rollout["id"], **told, "seconds": time.perf_counter() - started}
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
