"""Bedrock without an account: how long rehearsals take, and a day of polling through failures.

    .venv/bin/python tests/benchmarks/bench_bedrock.py

Each of the six kinds of experiment runs to its export in a fresh workspace with `run --rehearse` (asked:
under 20 s each). Then one job that trains for a day is polled every minute of the emulator's time while 30%
of the looks fail (asked: under 5 s, and no wrong verdict).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

root = Path(__file__).parents[2]
sys.path.insert(0, str(root))

rehearsed = {
    "SFT": "strudel-nova-lite-v1",
    "distillation": "strudel-nova-pro-distilled",
    "reinforcement": "strudel-nova-2-lite-reinforced",
    "import": "strudel-tiny-llama-imported",
    "iterative": "strudel-nova-lite-refined",
    "Haiku": "strudel-claude-3-haiku",
}
polling = "tests/bedrock/test_bedrock_waiting.py::test_a_day_of_polling_through_failures"


def rehearsal_seconds(name: str) -> float:
    """One whole rehearsal in a workspace of its own, which must succeed."""
    with tempfile.TemporaryDirectory() as folder:
        for part in ("experiments", "prompts", "graders"):
            (Path(folder) / part).symlink_to(root / part)
        (Path(folder) / "runs").mkdir()
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "polytune", "run", "--rehearse", f"experiments/{name}.yaml"],
            cwd=folder,
            check=True,
            capture_output=True,
            env={"PATH": "/usr/bin:/bin", "HOME": folder},
        )
        return time.perf_counter() - started


def polling_seconds() -> str:
    """What pytest measures for the test of a day of polling."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--durations=1", "-p", "no:cacheprovider", polling],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    return next(line.split()[0] for line in done.stdout.splitlines() if " call " in line)


def main() -> None:
    """Measures and prints."""
    for kind, name in rehearsed.items():
        print(f"rehearsal  {kind:<14} {rehearsal_seconds(name):5.1f} s   {name}", flush=True)
    print(f"polling    a day, 30% of the looks fail   {polling_seconds()}")


if __name__ == "__main__":
    main()
