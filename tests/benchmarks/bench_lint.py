"""Prints how fast lint reads Bedrock conversations, and how much memory it needs.

    python tests/benchmarks/bench_lint.py [--count 200000] [--workers N] [--json]

Rows are of realistic size, about 950 bytes: code by demand of the system prompt, or prose; one in five
hundred breaks a rule. Beside the speed stands what msgspec needs to decode the same rows and nothing else,
in one process: the yardstick for a busy machine. The peak is the largest sum of resident memory of this
process and its workers, looking every 50 ms, so what they share counts several times.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
import time
from pathlib import Path

from polytune.data.lines import blocks
from polytune.data.lint.lint import Lint
from polytune.data.reading import rows_in
from tests.benchmarks.bench_rows import Peak, sample

PROSE = (
    "The bass rolls under the pads and leaves room for the kick. ",
    "Each voice has its own rhythm, so that none of them covers another. ",
    "The filter opens slowly over eight bars and closes again within one. ",
    "Off-beat hats keep the pattern moving while the chords stay where they are. ",
    "A short delay on the clap makes the space wider than it is. ",
)
FAULTS = (
    "Sure! Here is the pattern that you asked for:",
    "Write to jane.doe@acme-tools.com for more.",
    "<think>The user wants a pattern.</think>",
    "I'm sorry, but I can't help with that.",
)


def row(number: int) -> bytes:
    """A row; every second one is prose."""
    made, dice = sample(number), random.Random(number)
    answer, system, prompt = made.answer, made.system, made.prompt
    if number % 2:
        system, prompt = "You explain music.", f"Explain this: {made.prompt}"
        answer = "".join(dice.choices(PROSE, k=10)).strip()
    else:
        answer = f"{answer}\n" + f"// {dice.getrandbits(64):x} {''.join(dice.choices('abcdefgh ', k=280))}"
    if number % 1000 in (998, 999):
        answer = f"{FAULTS[number // 1000 % len(FAULTS)]}\n{answer}"
    return json.dumps(
        {
            "schemaVersion": "bedrock-conversation-2024",
            "system": [{"text": system}],
            "messages": [
                {"role": "user", "content": [{"text": prompt}]},
                {"role": "assistant", "content": [{"text": answer}]},
            ],
        }
    ).encode()


def write_rows(path: Path, count: int) -> None:
    """The file holds `count` rows."""
    with path.open("wb", buffering=1 << 20) as file:
        for number in range(count):
            file.write(row(number) + b"\n")


def reading_seconds(path: Path) -> float:
    """How long it takes to read the rows and to judge nothing."""
    begun = time.perf_counter()
    for block in blocks(path):
        rows_in(block)
    return time.perf_counter() - begun


def measure(folder: Path, count: int, workers: int | None) -> dict[str, float]:
    """The figures of one run."""
    path = folder / "train.jsonl"
    writer = multiprocessing.get_context("spawn").Process(target=write_rows, args=(path, count))
    writer.start()
    writer.join()
    megabytes, reading = path.stat().st_size / 1e6, reading_seconds(path)
    peak = Peak()
    peak.start()
    begun, lint = time.perf_counter(), Lint(path, workers=workers)
    findings = sum(1 for _ in lint)
    seconds = time.perf_counter() - begun
    return {
        "rows": lint.rows,
        "megabytes": round(megabytes, 1),
        "seconds": round(seconds, 2),
        "mb_per_second": round(megabytes / seconds, 1),
        "reading_mb_per_second": round(megabytes / reading, 1),
        "findings": findings,
        "errors": lint.errors,
        "peak_rss_mb": round(peak.end(), 1),
    }


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description="Speed and memory of lint.")
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--workers", type=int, help="processes; as many as pay when left out, 0 for none")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-lint-") as folder:
        figures = measure(Path(folder), arguments.count, arguments.workers)
    if arguments.json:
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    for name, figure in figures.items():
        sys.stdout.write(f"{name:24}{figure:>12,}\n")


if __name__ == "__main__":
    main()
