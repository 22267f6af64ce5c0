"""Prints how fast near-duplicates are found, how many of those planted, and how datasketch does the same.

    python tests/benchmarks/bench_dedupe.py [--count 100000] [--rival PYTHON] [--json]

The texts are code-like, about 500 characters, a fifth of them edited copies of others. Truth is what a
comparison of the planted pairs says, each tool by its own measure of likeness: shared windows of eight bytes
here, shared runs of three tokens there. PYTHON is an interpreter of an environment that has datasketch; it
reads the same texts, makes MinHashes of 128 permutations in bulk, and inserts and queries one by one at the
same threshold. Processor seconds stand beside those on the clock, for a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from polytune.data.dedupe.duplicates import Duplicate, clusters, kept
from polytune.data.dedupe.shingles import likeness, windows

THRESHOLD = 0.7
RIVAL = """
import json, re, sys, time
from datasketch import MinHash, MinHashLSH
texts = json.load(open(sys.argv[1]))
pairs = json.load(open(sys.argv[2]))
token = re.compile(r"\\\\w+|[^\\\\w\\\\s]")
begun, computed = time.perf_counter(), time.process_time()
sets = [{" ".join(run).encode() for run in zip(w, w[1:], w[2:])} for w in map(token.findall, texts)]
lsh, found = MinHashLSH(threshold=0.7, num_perm=128), set()
for number, sketch in enumerate(MinHash.generator(sets, num_perm=128)):
    found.update((other, number) for other in lsh.query(sketch))
    lsh.insert(number, sketch)
seconds, computed = time.perf_counter() - begun, time.process_time() - computed
true = [tuple(p) for p in pairs if len(sets[p[0]] & sets[p[1]]) >= 0.7 * len(sets[p[0]] | sets[p[1]])]
print(json.dumps([seconds, computed, sum(p in found for p in true) / len(true), len(true)]))
"""


def texts_and_pairs(count: int) -> tuple[list[str], list[tuple[int, int]]]:
    """So many texts, the last fifth edited copies; and which are copies of which."""
    dice = random.Random(1)
    names = [f"{dice.choice(('kick', 'pad', 'lead', 'hat'))}{number}" for number in range(5000)]

    def voice() -> str:
        return f's("{dice.choice(names)}*{dice.randrange(9)}").gain({dice.random():.2f})'

    originals = [" ".join(voice() for _ in range(17))[:500] for _ in range(count - count // 5)]
    copies = []
    for original in originals[: count // 5]:
        words = original.split(" ")
        for _ in range(max(1, round(dice.uniform(0.02, 0.2) * len(words)))):
            words[dice.randrange(len(words))] = voice()
        copies.append(" ".join(words))
    return [*originals, *copies], [(number, len(originals) + number) for number in range(len(copies))]


def recall(texts: list[str], pairs: list[tuple[int, int]], found: list[Duplicate]) -> tuple[float, int]:
    """The share of truly alike planted pairs whose copy is dropped, and how many pairs that are."""
    gone = {each.number for each in found}
    true = [
        pair
        for pair in pairs
        if likeness(set(windows(texts[pair[0]])), set(windows(texts[pair[1]]))) >= THRESHOLD
    ]
    return sum(copy in gone for _, copy in true) / len(true), len(true)


def wrong(texts: list[str], found: list[Duplicate]) -> int:
    """How many of those dropped are not alike to what stays for them."""
    pairs = ((windows(texts[each.number]), windows(texts[each.of])) for each in found)
    return sum(likeness(set(one), set(other)) < THRESHOLD for one, other in pairs)


def measure(count: int, rival: str | None) -> dict[str, float]:
    """The figures."""
    texts, pairs = texts_and_pairs(count)
    begun, computed = time.perf_counter(), time.process_time()
    found = kept(texts, "near", THRESHOLD)
    seconds, computed = time.perf_counter() - begun, time.process_time() - computed
    share, true = recall(texts, pairs, found)
    begun = time.perf_counter()
    number = len(set(clusters(texts, "near", THRESHOLD)))
    figures = {
        "texts": count,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(computed, 2),
        "planted_pairs": true,
        "recall": round(share, 5),
        "false_positives": wrong(texts, found),
        "clusters_seconds": round(time.perf_counter() - begun, 2),
        "clusters": number,
    }
    if rival is not None:
        figures |= _rival(texts, pairs, rival)
        figures["ratio"] = round(seconds / figures["datasketch_seconds"], 3)
        figures["cpu_ratio"] = round(computed / figures["datasketch_cpu_seconds"], 3)
    return figures


def _rival(texts: list[str], pairs: list[tuple[int, int]], python: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="bench-dedupe-") as folder:
        files = [Path(folder, name) for name in ("texts.json", "pairs.json", "rival.py")]
        for path, content in zip(
            files, (json.dumps(texts), json.dumps(pairs), RIVAL.replace("\\\\", "\\")), strict=True
        ):
            path.write_text(content)
        command = [python, str(files[2]), str(files[0]), str(files[1])]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": ""}
        )
    seconds, computed, share, true = json.loads(done.stdout)
    return {
        "datasketch_seconds": round(seconds, 2),
        "datasketch_cpu_seconds": round(computed, 2),
        "datasketch_planted_pairs": true,
        "datasketch_recall": round(share, 5),
    }


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description="Speed and recall of near-deduplication.")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--rival", help="an interpreter that can import datasketch")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = measure(arguments.count, arguments.rival)
    if arguments.json:
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    for name, figure in figures.items():
        sys.stdout.write(f"{name:28}{figure:>12,}\n")


if __name__ == "__main__":
    main()
