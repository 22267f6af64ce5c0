"""Prints how fast format and validate stream samples, and how much memory they need.

    python tests/benchmarks/bench_rows.py [--count 1000000] [--base-model nova-lite] [--workers N] [--json]

Megabytes are of `samples.jsonl`, per second of format and validate together; beside them stands what
msgspec needs for decoding alone, one process, the same typed rows: the yardstick for a busy machine.
Seconds of processor and memory are of this process and its workers together; the peak is the largest
sum of resident memory that was seen, looking every 50 ms, so what they share counts several times.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec

from polytune.base_models.interface import BASE_MODELS
from polytune.data.format.format import FormatOptions, format_samples, provenance_name
from polytune.data.lines import blocks
from polytune.data.samples import Sample, SampleRow, SampleTeacher, SampleUsage, encode_sample
from polytune.data.validate.validate import check_dataset

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


class Peak(threading.Thread):
    """Watches the resident memory of this process and its children (on Linux; elsewhere it sees none)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.megabytes = 0.0
        self._done = threading.Event()

    def run(self) -> None:
        """The peak has been seen until `end` was called."""
        while not self._done.wait(0.05):
            self.megabytes = max(self.megabytes, sum(map(_resident, [os.getpid(), *_children()])) / 1e6)

    def end(self) -> float:
        """The peak."""
        self._done.set()
        self.join()
        return self.megabytes


def _children() -> list[int]:
    """Of every thread of this process."""
    threads = Path("/proc/self/task").glob("*")
    return [int(word) for thread in threads for word in _words(thread / "children")]


def _resident(process: int) -> int:
    """Bytes; 0 for a process that has ended."""
    words = _words(Path(f"/proc/{process}/statm"))
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE") if words else 0


def _words(path: Path) -> list[str]:
    """None of a file that is gone."""
    try:
        return path.read_text().split()
    except OSError:
        return []


def decoding_seconds(samples: Path) -> float:
    """How long it takes to decode the rows, and to do nothing with them."""
    decoder = msgspec.json.Decoder(SampleRow)
    spent = 0.0
    for block in blocks(samples):
        lines, begun = block.lines, time.perf_counter()
        for line in lines:
            decoder.decode(line)
        spent += time.perf_counter() - begun
    return spent


def _processor_seconds() -> float:
    """Of this process and of its children that have ended."""
    return sum(os.times()[:4])


def measure(folder: Path, count: int, base_model: str, workers: int | None) -> dict[str, float]:
    """The figures of one run of format and validate."""
    samples = folder / "samples.jsonl"
    writer = multiprocessing.get_context("spawn").Process(target=write_samples, args=(samples, count))
    writer.start()
    writer.join()
    megabytes, decoding = samples.stat().st_size / 1e6, decoding_seconds(samples)
    peak = Peak()
    peak.start()
    begun, computed = time.perf_counter(), _processor_seconds()
    formatted = format_samples(samples, folder, FormatOptions(), workers=workers)
    between = time.perf_counter()
    files: dict[str, Path] = {split: folder / f"{split}.jsonl" for split in formatted.rows}
    entry, provenance = BASE_MODELS.get(base_model), folder / provenance_name
    checked = check_dataset(files, entry, "bedrock-conversation-2024", provenance, workers=workers)
    ended, computed = time.perf_counter(), _processor_seconds() - computed
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
        "decoding_mb_per_second": round(megabytes / decoding, 1),
        "peak_rss_mb": round(peak.end(), 1),
        "errors": checked.errors,
        "warnings": checked.warnings,
    }


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description="Speed and memory of format + validate.")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--base-model", default="nova-lite")
    parser.add_argument("--workers", type=int, help="processes; as many as pay when left out, 0 for none")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-rows-") as folder:
        figures = measure(Path(folder), arguments.count, arguments.base_model, arguments.workers)
    if arguments.json:
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    for name, figure in figures.items():
        sys.stdout.write(f"{name:24}{figure:>12,}\n")


if __name__ == "__main__":
    main()
