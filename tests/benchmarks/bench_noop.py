"""Prints what doing nothing costs: no-op run, plan, diff and --help, beside DVC on the same graph.

    python tests/benchmarks/bench_noop.py [--runs 15] [--json]

Whole processes, in turn (polytune, DVC, polytune, ...), so that the ratio holds on a noisy machine. The
graph is the quickstart's: seven steps in its shape, each with one output. DVC is installed by pip into
a temporary virtual environment of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

repository = Path(__file__).parents[2]
polytune = [sys.executable, "-m", "polytune"]
small = [
    "--set",
    "steps.train.epochs=1",
    "--set",
    "steps.generate.count=120",
    "--set",
    "steps.evaluate.limit=2",
]
small += ["--set", "steps.evaluate.max_tokens=16"]

stages = {
    "generate": ["prompts.yaml"],
    "format": ["generate.out"],
    "validate": ["format.out"],
    "upload": ["validate.out"],
    "train": ["upload.out"],
    "evaluate": ["train.out", "validate.out"],
    "export": ["train.out"],
}


@dataclass(frozen=True)
class Figures:
    """One command's medians."""

    wall_seconds: float
    cpu_seconds: float
    peak_mb: float


def measured(command: Sequence[str], folder: Path) -> tuple[float, float, float]:
    """Wall and CPU seconds and the peak memory in MB of one process and its children."""
    started = time.perf_counter()
    child = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env()
    )
    _, _, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - started
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def env() -> dict[str, str]:
    """The environment without what would slow either program, such as forbidding bytecode files."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"DVC_NO_ANALYTICS": "1"}


def interleaved(commands: dict[str, tuple[list[str], Path]], runs: int) -> dict[str, Figures]:
    """Every command in turn, `runs` times after one warm-up; medians."""
    samples: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, (command, folder) in commands.items():
            figures = measured(command, folder)
            if turn:
                samples[name].append(figures)
    return {
        name: Figures(*(statistics.median(column) for column in zip(*found, strict=True)))
        for name, found in samples.items()
    }


def polytune_workspace(folder: Path) -> str:
    """A workspace in which the quickstart's graph is done; the experiment file's path is returned."""
    for name in ("experiments", "prompts"):
        (folder / name).symlink_to(repository / name)
    (folder / "runs").mkdir()
    file = str(folder / "experiments" / "quickstart.yaml")
    done = subprocess.run(
        [*polytune, "run", file, *small, "--workspace", str(folder), "--log-format", "plain"],
        capture_output=True, text=True, check=False, env=env(), cwd=folder,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"the quickstart did not run:\n{done.stderr}{done.stdout}")
    return file


def installed_dvc(folder: Path) -> str:
    """DVC in a virtual environment of its own."""
    venv.create(folder / "venv", with_pip=True)
    pip = [str(folder / "venv/bin/python"), "-m", "pip", "install", "--quiet", "dvc"]
    subprocess.run(pip, check=True)
    return str(folder / "venv/bin/dvc")


def dvc_workspace(folder: Path, dvc: str) -> None:
    """A DVC repository with the same graph, done."""
    project = folder / "project"
    project.mkdir()
    (project / "prompts.yaml").write_bytes((repository / "prompts/strudel.yaml").read_bytes())
    lines = ["stages:"]
    for stage, inputs in stages.items():
        lines += [f"  {stage}:", f"    cmd: cat {inputs[0]} > {stage}.out", "    deps:"]
        lines += [f"      - {name}" for name in inputs] + ["    outs:", f"      - {stage}.out"]
    (project / "dvc.yaml").write_text("\n".join(lines) + "\n")
    for command in (["git", "init", "-q"], [dvc, "init", "-q"], [dvc, "repro", "-q"]):
        subprocess.run(command, cwd=project, check=True, env=env())


def main() -> None:
    """Prints a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--dvc", help="an installed dvc to use instead of a fresh one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        ours, theirs = Path(scratch, "ours"), Path(scratch, "theirs")
        ours.mkdir()
        theirs.mkdir()
        file = polytune_workspace(ours)
        dvc = options.dvc or installed_dvc(theirs)
        dvc_workspace(theirs, dvc)
        at = ["--workspace", str(ours)]
        figures = interleaved(
            {
                "python -c pass": ([sys.executable, "-c", "pass"], ours),
                "polytune --help": ([*polytune, "--help"], ours),
                "polytune run (no-op)": ([*polytune, "run", file, *small, *at], ours),
                "polytune plan (no-op)": ([*polytune, "plan", file, *small, *at], ours),
                "polytune diff (same run)": ([*polytune, "diff", "quickstart", "quickstart", *at], ours),
                "dvc repro (no-op)": ([dvc, "repro"], theirs / "project"),
            },
            options.runs,
        )
    report(figures, as_json=options.json)


def report(figures: dict[str, Figures], *, as_json: bool) -> None:
    """One line a command, with its ratio to DVC's."""
    peer = figures["dvc repro (no-op)"]
    if as_json:
        print(json.dumps({name: vars(each) for name, each in figures.items()}, indent=2))
        return
    print(f"{'command':<26}{'wall s':>8}{'CPU s':>8}{'peak MB':>9}{'wall/DVC':>10}{'CPU/DVC':>9}")
    for name, each in figures.items():
        wall, cpu = each.wall_seconds / peer.wall_seconds, each.cpu_seconds / peer.cpu_seconds
        row = f"{name:<26}{each.wall_seconds:>8.3f}{each.cpu_seconds:>8.3f}{each.peak_mb:>9.1f}"
        print(f"{row}{wall:>10.2f}{cpu:>9.2f}")


if __name__ == "__main__":
    main()
