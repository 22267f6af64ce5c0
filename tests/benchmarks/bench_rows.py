"""Prints how fast format and validate stream samples, and how much memory they need.

    python tests/benchmarks/bench_rows.py [--count 1000000] [--base-model nova-lite] [--json]

Megabytes are of `samples.jsonl`, per second of format and validate together. Each phase runs in this
process; the peak is the process's own, input generation excluded because it runs in a child. On a busy
machine the figure by CPU second is the steadier one.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from polytune.base_models.interface import BASE_MODELS
from polytune.data.checking import check_dataset
from polytune.data.formatting import FormatOptions, format_samples, provenance_name
from polytune.data.samples import Sample, SampleTeacher, SampleUsage, encode_sample

STYLES = ("techno", "house", "ambient", "jazz", "drums", "experimental")
COMPLEXITIES = ("simple", "medium", "complex")
KEYS = ("A minor", "C minor", "D dorian", "E phrygian", "F major", "G mixolydian")
MOODS = ("dark", "warm", "restless", "dreamy", "bright", "solemn", "playful")
SYSTEM = "You write Strudel. Answer with one expression, code only, no fences."


def sample(number: int) -> Sample:
    """A sample of realistic size: about 0.9 kB, its prompt unlike nearly all others."""
    dice = random.Random(number)
    cell: dict[str, str | int | float | bool] = {
        "style": dice.choice(STYLES),
        "complexity": dice.choice(COMPLEXITIES),
    }
    slots: dict[str, str | int | float | bool] = {
        "tempo": dice.randrange(60, 180),
        "key": dice.choice(KEYS),
        "mood": dice.choice(MOODS),
        "take": number,
    }
    prompt = (
        f"Write a {slots['mood']} {cell['style']} pattern at {slots['tempo']} bpm in {slots['key']}, "
        f"with a rolling bass and off-beat hats, take {number}."
    )
    voices = [
        f's("bd*{dice.randrange(2, 9)}, ~ hh:{dice.randrange(4)}").gain({dice.random():.2f})',
        f'note("{" ".join(dice.choices("abcdefg", k=8))}").s("sawtooth").lpf({dice.randrange(200, 4000)})',
        f's("{dice.choice(("rim", "perc", "tom", "cb"))}*4?").pan(sine.slow({dice.randrange(2, 9)}))',
        f's("cp:{dice.randrange(4)}").struct("~ x ~ x").delay({dice.random():.2f})',
        f'note("<{" ".join(dice.choices("abcdefg", k=4))}>").s("triangle").room({dice.random():.2f})',
    ]
    return Sample(
        id=f"s{number:07d}",
        cell=cell,
        template=f"{cell['style']}-{dice.randrange(5)}",
        slots=slots,
        system=SYSTEM,
        prompt=prompt,
        teacher=SampleTeacher(kind="composer", label="composed offline from a grammar, no language model"),
        request=f"{dice.getrandbits(256):064x}",
        draw=0,
        answer="stack(\n  " + ",\n  ".join(voices) + "\n)",
        usage=SampleUsage(input_tokens=90, output_tokens=110, estimated=True),
        price_usd=0.0,
    )


def write_samples(path: Path, count: int) -> None:
    """The file holds `count` samples."""
    with path.open("wb", buffering=1 << 20) as file:
        for number in range(count):
            file.write(encode_sample(sample(number)) + b"\n")


def measure(folder: Path, count: int, base_model: str) -> dict[str, float]:
    """The figures of one run of format and validate."""
    samples = folder / "samples.jsonl"
    writer = multiprocessing.get_context("spawn").Process(target=write_samples, args=(samples, count))
    writer.start()
    writer.join()
    megabytes = samples.stat().st_size / 1e6
    begun, computed = time.perf_counter(), time.process_time()
    formatted = format_samples(samples, folder, FormatOptions())
    between = time.perf_counter()
    files: dict[str, Path] = {split: folder / f"{split}.jsonl" for split in formatted.rows}
    checked = check_dataset(
        files, BASE_MODELS.get(base_model), "bedrock-conversation-2024", folder / provenance_name
    )
    ended, computed = time.perf_counter(), time.process_time() - computed
    return {
        "records": count,
        "megabytes": round(megabytes, 1),
        "bytes_per_record": round(megabytes * 1e6 / count),
        "format_seconds": round(between - begun, 2),
        "validate_seconds": round(ended - between, 2),
        "format_mb_per_second": round(megabytes / (between - begun), 1),
        "validate_mb_per_second": round(megabytes / (ended - between), 1),
        "mb_per_second": round(megabytes / (ended - begun), 1),
        "mb_per_cpu_second": round(megabytes / computed, 1),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "errors": checked.errors,
        "warnings": checked.warnings,
    }


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description="Speed and memory of format + validate.")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--base-model", default="nova-lite")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-rows-") as folder:
        figures = measure(Path(folder), arguments.count, arguments.base_model)
    if arguments.json:
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    for name, figure in figures.items():
        sys.stdout.write(f"{name:24}{figure:>12,}\n")


if __name__ == "__main__":
    main()
