"""Prints what this checkout takes against another one: the same commands in turn, and ratios pair by pair.

    python -m tests.benchmarks.bench_versions ../other-checkout [--python ../venv/bin/python] [--runs 9]

Each checkout runs a small quickstart in a workspace of its own, then finds nothing to do. CPU ratios hold
on a busy machine; wall ratios need a quiet one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.bench_noop import measured, small

here = Path(__file__).parents[2]
rows = 40_000
"""Rows of the file that is linted, validated and deduplicated: 30 MB."""


@dataclass(frozen=True)
class Checkout:
    """A version of polytune, with a workspace in which the quickstart is done."""

    code: Path
    python: str
    folder: Path

    def command(self, *words: str) -> list[str]:
        """The program of this checkout, whatever is installed for its Python."""
        return ["/usr/bin/env", f"PYTHONPATH={self.code}", self.python, "-m", "polytune", *words]

    def prepare(self) -> None:
        """The quickstart is done, and a file of training rows is there."""
        for name in ("experiments", "prompts"):
            (self.folder / name).symlink_to(here / name)
        (self.folder / "runs").mkdir()
        done = subprocess.run(
            self.command("run", "experiments/quickstart.yaml", *small, "--log-format", "plain"),
            cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"{self.code}: the quickstart did not run:\n{done.stderr}{done.stdout}")
        with (self.folder / "train.jsonl").open("w", encoding="utf-8") as file:
            for number in range(rows):
                answer = " ".join(f"s('bd*{number % 7}, hh*{(number * step) % 13}')" for step in range(1, 24))
                file.write(json.dumps({"prompt": f"Write piece {number}.", "completion": answer}) + "\n")


workloads = {
    "--help": ["--help"],
    "run (no-op)": ["run", "experiments/quickstart.yaml", *small],
    "plan (no-op)": ["plan", "experiments/quickstart.yaml", *small],
    "diff (same run)": ["diff", "quickstart", "quickstart"],
    "plan --set (compiles)": ["plan", "experiments/quickstart.yaml", *small, "--set", "steps.train.seed=1"],
    "data lint, 40,000 rows": ["data", "lint", "train.jsonl"],
    "data stats, 40,000 rows": ["data", "stats", "train.jsonl"],
    "validate, 40,000 rows": ["validate", "train.jsonl", "--base-model", "tiny-llama"],
}


def main() -> None:
    """One line a command: medians of this checkout, and the median ratios to the other one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("other", type=Path, help="the checkout to compare with")
    parser.add_argument("--python", default=sys.executable, help="the Python that has its requirements")
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    # A file of compiled experiments depends on the program's files, so each checkout needs a workspace.
    with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs:
        new = Checkout(here, sys.executable, Path(ours))
        old = Checkout(options.other.resolve(), options.python, Path(theirs))
        new.prepare()
        old.prepare()
        print(f"load {os.getloadavg()[0]:.1f}, {options.runs} pairs")
        print(f"{'command':<26}{'wall s':>8}{'CPU s':>8}{'wall ratio':>12}{'CPU ratio':>11}")
        for name, words in workloads.items():
            compare(name, words, new, old, options.runs)


def compare(name: str, words: list[str], new: Checkout, old: Checkout, runs: int) -> None:
    """Prints one line; the first pair is a warm-up."""
    pairs = []
    for _ in range(runs + 1):
        ours = measured(new.command(*words), new.folder)
        theirs = measured(old.command(*words), old.folder)
        pairs.append((ours, theirs))
    wall, cpu, wall_ratio, cpu_ratio = (
        statistics.median(column)
        for column in zip(*((a[0], a[1], a[0] / b[0], a[1] / b[1]) for a, b in pairs[1:]), strict=True)
    )
    print(f"{name:<26}{wall:>8.3f}{cpu:>8.3f}{wall_ratio:>12.2f}{cpu_ratio:>11.2f}", flush=True)


if __name__ == "__main__":
    main()
