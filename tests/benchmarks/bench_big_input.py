"""Prints what a 1 GB input costs: the first run, a no-op, and a no-op after `touch`, beside reading the file.

    python tests/benchmarks/bench_big_input.py [--megabytes 1000]

The input is a file of recorded answers that the `replay` teacher reads. `bytes read` is what the process
itself read (from /proc, Linux only): a no-op reads nothing of the input, a touched input is read once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

experiment = """\
name: big
project: big
platform: {kind: local}
steps:
  generate:
    prompts: prompts.yaml
    teacher: {kind: replay, path: recorded.jsonl}
    count: 20
  format: {system: none, split: {train: 0.8, validation: 0.1, test: 0.1}}
"""
prompts = 'templates: ["Say {{ word }}."]\nslots: {word: [%s]}\n'
counting = """
import sys
from polytune.cli.main import main
try:
    main(sys.argv[1:])
finally:
    lines = open("/proc/self/io").read().split()
    print(lines[1], file=open("read.txt", "w"))
"""


def write_input(folder: Path, megabytes: int) -> None:
    """20 recorded answers that share so many megabytes."""
    words = [f"w{number}" for number in range(20)]
    (folder / "prompts.yaml").write_text(prompts % ", ".join(words))
    (folder / "big.yaml").write_text(experiment)
    with (folder / "recorded.jsonl").open("w") as file:
        for word in words:
            answer = word * (megabytes * 1_000_000 // 20 // len(word))
            file.write(json.dumps({"prompt": f"Say {word}.", "answer": answer}) + "\n")


def timed(folder: Path) -> tuple[float, int]:
    """Wall seconds and bytes read of one `polytune run`."""
    started = time.perf_counter()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", counting, "run", "big.yaml", "--log-format", "plain"],
        cwd=folder, capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    wall = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.stderr)
    print(f"    {done.stderr.splitlines()[-1]}")
    return wall, int((folder / "read.txt").read_text())


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "runs").mkdir()
        write_input(folder, options.megabytes)
        time.sleep(0.1)
        for what in ("first run", "no-op", "no-op", "after touch", "no-op"):
            if what == "after touch":
                (folder / "recorded.jsonl").touch()
                time.sleep(0.1)
            wall, read = timed(folder)
            print(f"{what:<12}{wall:>8.2f} s{read / 1e6:>10.1f} MB read")
        started = time.perf_counter()
        subprocess.run(["cat", "recorded.jsonl"], cwd=folder, stdout=subprocess.DEVNULL, check=True)
        print(f"{'cat':<12}{time.perf_counter() - started:>8.2f} s")


if __name__ == "__main__":
    main()
