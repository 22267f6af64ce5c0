"""Prints how the cost of planning grows: with history, variants, steps, and what has to be read.

    python -m tests.benchmarks.bench_flat [--runs 5] [--load] [--in FOLDER]

Whole processes in turn, so that ratios hold on a noisy machine. The ledger with a history holds 10,000 runs,
with their manifests, results and outputs, and a million answers. `--load` measures everything a second time,
beside two processes that keep two cores busy.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from polytune.engine.artifacts import FileEntry
from polytune.engine.ledger import Ledger, Result
from polytune.engine.manifest import Manifest, encode, read_manifest
from tests.benchmarks.bench_noop import measured, polytune, polytune_workspace, small

runs_in_history = 10_000
answers_in_history = 1_000_000
varied = ("train", "evaluate", "export")
"""The steps that every run of the history has made anew; it reused the others."""
answer_bytes = 300


@dataclass(frozen=True)
class Figures:
    """Medians of one command."""

    wall_seconds: float
    cpu_seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Line:
    """One line of the table: what a command may cost, alone or in multiples of another."""

    title: str
    command: Callable[[], Sequence[str]]
    limit: str
    against: Callable[[], Sequence[str]] | None = None
    runs: int | None = None


# history


def with_history(folder: Path) -> None:
    """The workspace, in which one run is done, remembers 10,000 earlier ones and a million answers."""
    with closing(Ledger.open(folder / "runs/ledger.sqlite3")) as ledger:
        (row,) = ledger.runs()
        latest = read_manifest(folder / row.folder / "manifest.json")
        made = {result.step: result for result in ledger.results()}
        ledger.connection.execute("PRAGMA synchronous = OFF")
        earlier = [_earlier(folder, latest, made, number) for number in range(100, 100 + runs_in_history)]
        with ledger.transaction() as connection:
            connection.executemany(
                "INSERT INTO runs VALUES (?, ?, 'done', ?, ?, ?)",
                [
                    (m.run_id, m.experiment, m.started_at, f"runs/{m.experiment}/{m.run_id}", row.source)
                    for m, _ in earlier
                ],
            )
            connection.executemany(
                "INSERT INTO results"
                " (key, open_key, inputs, kind, experiment, step, run_id, finished_at, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [_result_row(result) for _, results in earlier for result in results],
            )
            connection.execute(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
                " INSERT INTO answers (request, draw, experiment, body, tokens, price_usd, stored_at)"
                " SELECT printf('%064x', i), 0, ?, randomblob(?), 400, 0.0004, '2025-01-01T00:00:00.000Z'"
                " FROM n",
                (answers_in_history, row.experiment, answer_bytes),
            )


def _earlier(
    folder: Path, latest: Manifest, made: dict[str, Result], number: int
) -> tuple[Manifest, list[Result]]:
    """One earlier run: its folder is written; its manifest and its results are returned."""
    at = datetime(2025, 1, 1) + timedelta(minutes=number)
    run_id = f"{at:%Y%m%dT%H%M%S}000-{number:04x}"
    results = [_varied(folder, made[step], run_id, number) for step in varied]
    reports = {
        result.step: msgspec.structs.replace(
            latest.steps[result.step],
            key=result.record.key,
            record=result.record,
            output=result.artifact,
            output_digest=result.artifact.digest,
        )
        for result in results
    }
    manifest = msgspec.structs.replace(
        latest, run_id=run_id, started_at=f"{at.isoformat()}.000Z", steps={**latest.steps, **reports}
    )
    place = folder / "runs" / latest.experiment
    (place / run_id / "manifest.json").write_bytes(encode(manifest))
    for name in ("compiled.json", "spec.yaml", ".lock"):
        shutil.copyfile(place / latest.run_id / name, place / run_id / name)
    return manifest, results


def _varied(folder: Path, result: Result, run_id: str, number: int) -> Result:
    """The result as of another seed, with an output of its own, in place and in the store."""
    content = f"{result.step} of {run_id}".encode()
    digest = hashlib.sha256(content).hexdigest()
    path = f"runs/{result.experiment}/{run_id}/{result.step}/output.txt"
    stored = folder / "runs/objects/sha256" / digest[:2] / digest[2:]
    for place in (folder / path, stored):
        place.parent.mkdir(parents=True, exist_ok=True)
    stored.write_bytes(content)
    os.link(stored, folder / path)
    files = {"output": FileEntry(path=path, digest=digest, bytes=len(content))}
    return msgspec.structs.replace(
        result,
        record=msgspec.structs.replace(result.record, spec={**result.record.spec, "seed": number}),
        artifact=msgspec.structs.replace(result.artifact, files=files),
        run_id=run_id,
        resources={},
    )


def _result_row(result: Result) -> tuple[object, ...]:
    record = result.record
    inputs = msgspec.json.encode(record.inputs).decode()
    named = (record.kind, result.experiment, result.step, result.run_id, result.finished_at)
    return (record.key, record.open_key, inputs, *named, msgspec.json.encode(result))


# experiments


def written(folder: Path) -> None:
    """The experiment files that the table needs are in the folder."""
    quickstart = (folder / "experiments/quickstart.yaml").read_text()
    quickstart = quickstart.replace("../prompts", str(folder / "prompts"))
    for count in (1, 100, 1000):
        rates = ", ".join(f"{number}.0e-6" for number in range(1, count + 1))
        (folder / f"variants-{count}.yaml").write_text(f"{quickstart}matrix:\n  learning_rate: [{rates}]\n")
    (folder / "bad.yaml").write_text(
        quickstart.replace("epochs: 12", "epochs: many").replace("seed: 7", "sead: 7")
    )
    (folder / "chain-1200.yaml").write_text(chain(1200, before=1))
    (folder / "chain-200.yaml").write_text(chain(200, before=2))


def chain(steps: int, before: int) -> str:
    """An experiment of steps that each need those before them."""
    lines = ["name: chain", "platform: {kind: local}", "steps:"]
    for number in range(steps):
        needs = ", ".join(f"s{each}" for each in range(max(0, number - before), number))
        lines.append(
            f"  s{number}: {{uses: generate, prompts: prompts/strudel.yaml, teacher: {{kind: none}},"
            f" count: {number + 1}, needs: [{needs}]}}"
        )
    return "\n".join(lines) + "\n"


# measuring


def table(folder: Path, empty: Path) -> list[Line]:
    """Every line of the table, with a workspace that has a history and one that has none."""
    fresh = itertools.count(1)

    def at(place: Path, *words: str) -> Callable[[], list[str]]:
        return lambda: [*polytune, *words, "--workspace", str(place)]

    def planned(place: Path, name: str, *words: str) -> Callable[[], list[str]]:
        return at(place, "plan", str(place / name), *words)

    def changed(place: Path) -> Callable[[], list[str]]:
        file = str(place / "experiments/quickstart.yaml")
        return lambda: at(place, "plan", file, *small, "--set", f"steps.train.seed={next(fresh)}")()

    def edited() -> list[str]:
        file = empty / "edited.yaml"
        text = (empty / "variants-1.yaml").read_text()
        file.write_text(text.replace("batch_size: 8", f"batch_size: {next(fresh) + 8}"))
        return planned(empty, "edited.yaml")()

    def anew(name: str) -> Callable[[], list[str]]:
        """A plan that has to compile: of a value never seen before."""
        return lambda: planned(empty, name, "--set", f"seed={next(fresh)}")()

    quickstart = "experiments/quickstart.yaml"
    nothing_to_do = planned(empty, quickstart, *small)
    here = str(folder / quickstart)
    rate = "learning_rate=500.0e-6"
    return [
        Line("plan of a changed step, 10,000 runs / none", changed(folder), "1.3x, 1.2x MB", changed(empty)),
        Line("plan, nothing to do, 10,000 runs", planned(folder, quickstart, *small), "1 s"),
        Line(
            "why train, changed, 10,000 runs",
            at(folder, "why", here, "train", *small, "--set", "seed=8"),
            "1 s",
        ),
        Line("ls, 10,000 runs", at(folder, "ls"), "1 s"),
        Line("status, 10,000 runs", at(folder, "status"), "1 s"),
        Line("gc, 10,000 runs", at(folder, "gc"), "5 s, 150 MB", runs=2),
        Line("ledger verify, 10,000 runs", at(folder, "ledger", "verify"), "", runs=1),
        Line("plan of 100 variants / of one", anew("variants-100.yaml"), "5x", anew("variants-1.yaml")),
        Line("the same again / nothing to do", planned(empty, "variants-100.yaml"), "2x", nothing_to_do),
        Line(
            "one of 1,000 variants / of one",
            lambda: [*anew("variants-1000.yaml")(), "--variant", rate],
            "",
            anew("variants-1.yaml"),
        ),
        Line(
            "the same again / nothing to do",
            planned(empty, "variants-1000.yaml", "--variant", rate),
            "",
            nothing_to_do,
        ),
        Line(
            "--until of 200 steps, two before each", planned(empty, "chain-200.yaml", "--until", "s199"), ""
        ),
        Line("1,200 steps in a chain", planned(empty, "chain-1200.yaml", "--until", "s1199"), ""),
        Line("plan of an edited file / nothing to do", edited, "3x CPU", nothing_to_do),
        Line("plan of a bad file / nothing to do", planned(empty, "bad.yaml"), "3x CPU", nothing_to_do),
        Line("schema / nothing to do", lambda: [*polytune, "schema"], "5x CPU", nothing_to_do),
    ]


def taken(line: Line, folder: Path, runs: int) -> tuple[Figures, Figures | None]:
    """Medians of a line's command and of what it is compared with, in turn after one warm-up."""
    commands = [line.command, *([line.against] if line.against else [])]
    samples: list[list[tuple[float, float, float]]] = [[] for _ in commands]
    for turn in range((line.runs or runs) + 1):
        for command, found in zip(commands, samples, strict=True):
            figures = measured(command(), folder)
            if turn:
                found.append(figures)
    medians = [Figures(*map(statistics.median, zip(*found, strict=True))) for found in samples]
    return medians[0], medians[1] if line.against else None


def show(lines: Sequence[Line], folder: Path, runs: int) -> None:
    """One line of the table each, as soon as it is measured."""
    print(f"{'work':<46}{'wall s':>8}{'CPU s':>8}{'MB':>7}{'wall x':>8}{'CPU x':>7}{'MB x':>6}   to reach")
    for line in lines:
        own, other = taken(line, folder, runs)
        text = f"{line.title:<46}{own.wall_seconds:>8.2f}{own.cpu_seconds:>8.2f}{own.peak_mb:>7.0f}"
        ratios = f"{'':>21}"
        if other is not None:
            wall, cpu = own.wall_seconds / other.wall_seconds, own.cpu_seconds / other.cpu_seconds
            ratios = f"{wall:>8.2f}{cpu:>7.2f}{own.peak_mb / other.peak_mb:>6.2f}"
        print(f"{text}{ratios}   {line.limit}", flush=True)


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """That many processes compute all the time."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for each in started:
            each.kill()
            each.wait()


def removed(folder: Path, copy: Path) -> None:
    """Show what `gc --yes` costs, in a copy of the workspace."""
    subprocess.run(["cp", "-al", str(folder), str(copy)], check=True)
    ledger = copy / "runs/ledger.sqlite3"
    ledger.unlink()
    shutil.copyfile(folder / "runs/ledger.sqlite3", ledger)
    wall, cpu, peak = measured([*polytune, "gc", "--yes", "--workspace", str(copy)], copy)
    print(f"{'gc --yes, 10,000 runs':<46}{wall:>8.2f}{cpu:>8.2f}{peak:>7.0f}{'':>21}   5 s, 150 MB")


def prepared(folder: Path) -> tuple[Path, Path]:
    """A workspace with a history and one without, made in the folder unless they are there."""
    full, empty = folder / "full", folder / "empty"
    if not full.exists():
        for place in (empty, full):
            place.mkdir()
            polytune_workspace(place)
            written(place)
        with_history(full)
    return full, empty


def main() -> None:
    """Prints the table, and again under load if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--load", action="store_true", help="measure again beside two busy processes")
    parser.add_argument("--only", default="", help="measure only lines whose title holds this text")
    parser.add_argument("--in", dest="folder", type=Path, help="make the workspaces here, and keep them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        full, empty = prepared(options.folder or Path(scratch))
        lines = [line for line in table(full, empty) if options.only in line.title]
        show(lines, empty, options.runs)
        if options.load:
            print("\nbeside two busy processes")
            with busy(2):
                show(lines, empty, options.runs)
        if options.only in "gc --yes":
            with tempfile.TemporaryDirectory(dir=full.parent) as place:
                removed(full, Path(place, "copy"))


if __name__ == "__main__":
    main()
