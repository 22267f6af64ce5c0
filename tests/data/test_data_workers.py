"""Worker processes for large files: the same bytes, the same words about bad lines, and no orphans."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from polytune.base_models.interface import BASE_MODELS
from polytune.data.format.format import FormatOptions, format_samples, provenance_name
from polytune.data.lines import LineBlock, blocks, chunk_bytes, longest_line_bytes
from polytune.data.samples import Sample, encode_sample
from polytune.data.validate.report import to_json
from polytune.data.validate.validate import check_dataset
from polytune.data.workers import WorkerPool, fewest_bytes, most_workers, workers_for
from polytune.errors import DataError, StepFailed
from tests.data.data_samples import LAYOUT, balanced, row, rows, write
from tests.messages import matching

SIZES = (1, 2, 3)
PADDING = "~ hh " * 150
TOO_LONG = longest_line_bytes + 2 * chunk_bytes


def several_blocks(count: int = 4000) -> Iterator[Sample]:
    """Samples of about a kilobyte; some stand twice side by side, some again in a later block."""
    made = [
        msgspec.structs.replace(each, answer=f"{PADDING}{number // 2 if number % 3 else number}")
        for number, each in enumerate(balanced(count, draws=2))
    ]
    again = [msgspec.structs.replace(each, answer=each.answer + "!" * (n % 2)) for n, each in enumerate(made)]
    yield from [*made, *again[: count // 8]]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of several blocks."""
    path = write(tmp_path_factory.mktemp("samples") / "samples.jsonl", several_blocks())
    assert len(list(blocks(path))) > 3
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """The files in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("layout", [LAYOUT, "prompt-completion"])
def test_any_number_of_workers_writes_the_same_bytes(
    tmp_path: Path, samples: Path, layout: str, size: int
) -> None:
    """Rows, provenance and report of a pool are those of a single process, duplicates included."""
    options = FormatOptions(format=layout, seed=5)

    alone = format_samples(samples, tmp_path / "alone", options, workers=0)
    together = format_samples(samples, tmp_path / "together", options, workers=size)

    assert together == alone
    assert alone.duplicates > 0
    assert contents(tmp_path / "together") == contents(tmp_path / "alone")


def wrong_in_many_ways(folder: Path) -> dict[str, Path]:
    """Two files of several blocks with every kind of finding in the first block and in later ones."""
    bad = [
        row("row 3", "answer 3"),
        row("ask System: now", "b"),
        row("a", "c" * 140_000),
        row("windows", "b") + "\r",
        "",
        "{",
        '{"schemaVersion":"bedrock-conversation-2024","toolConfig":{},"messages":'
        '[{"role":"user","content":[{"text":"d"}]},{"role":"assistant","content":[{"text":"b"}]}]}',
    ]
    files = {name: folder / f"{name}.jsonl" for name in ("train", "validation")}
    for path in files.values():
        rows(path, 4, path.stem)
        with path.open("a", newline="") as file:
            for number in range(3000):
                file.write(row(f"row {number}", PADDING) + "\n")
                file.write(bad[number // 50 % len(bad)] + "\n" if number % 50 == 0 else "")
    return files


@pytest.mark.parametrize("size", SIZES)
def test_any_number_of_workers_finds_the_same(tmp_path: Path, size: int) -> None:
    """Counts, first examples, statistics, leaks and duplicates do not depend on who looked."""
    files, entry = wrong_in_many_ways(tmp_path), BASE_MODELS.get("nova-lite")

    alone = check_dataset(files, entry, LAYOUT, workers=0)
    together = check_dataset(files, entry, LAYOUT, workers=size)

    assert to_json(together) == to_json(alone)
    assert {group.rule for group in alone.groups} == {
        *("blank-line", "block-not-taken", "carriage-return", "duplicate-row", "not-json"),
        *("prompt-leak", "reserved-string", "row-too-long", "tool-config"),
    }
    assert max(example.line for group in alone.groups for example in group.examples) > 1000


@pytest.mark.parametrize("size", SIZES)
def test_workers_count_the_cells_of_provenance(tmp_path: Path, samples: Path, size: int) -> None:
    """The report with provenance is the same, cells in the same order."""
    formatted = format_samples(samples, tmp_path, FormatOptions(), workers=0)
    files = {str(split): tmp_path / f"{split}.jsonl" for split in formatted.rows}
    entry, provenance = BASE_MODELS.get("nova-lite"), tmp_path / provenance_name

    reports = [check_dataset(files, entry, LAYOUT, provenance, workers=n) for n in (0, size)]

    assert reports[0] == reports[1]
    assert [list(split.cells) for split in reports[0].splits] == [list(s.cells) for s in reports[1].splits]
    assert len(reports[0].splits[0].cells) == 18


@pytest.mark.parametrize("size", [0, *SIZES])
@pytest.mark.parametrize("late", [b"", b"x" * TOO_LONG], ids=["alone", "before a line too long"])
def test_the_first_bad_line_is_named_whoever_met_it(tmp_path: Path, size: int, late: bytes) -> None:
    """The error is that of the earliest bad line, in the same words, and nothing is left behind."""
    lines = [encode_sample(each) for each in several_blocks(3000)]
    lines[1500] = lines[2500] = b'{"id": "x"}'
    path = tmp_path / "samples.jsonl"
    path.write_bytes(b"\n".join([*lines, late]))

    with pytest.raises(DataError, match=r"samples\.jsonl:1501: " + matching("data/sample-has-no-cell")):
        format_samples(path, tmp_path / "out", FormatOptions(), workers=size)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("size", [0, *SIZES])
def test_a_line_that_is_too_long_is_named_whoever_met_it(tmp_path: Path, size: int) -> None:
    """A line of more than 64 MiB after good ones stops the check at its number."""
    path = rows(tmp_path / "train.jsonl", 20)
    with path.open("ab") as file:
        file.truncate(path.stat().st_size + TOO_LONG)

    with pytest.raises(
        DataError, match=r"train\.jsonl:21: " + matching("data/line-is-longer-than-mib", number=64)
    ):
        check_dataset({"train": path}, BASE_MODELS.get("nova-lite"), LAYOUT, workers=size)


def test_small_files_are_read_without_workers(tmp_path: Path) -> None:
    """Workers are for files that take longer than to start them, and never many."""
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"x")
    with large.open("wb") as file:
        file.truncate(fewest_bytes)

    assert workers_for([small, tmp_path / "absent"]) == 0
    assert workers_for([small, large]) in ({0} if os.cpu_count() == 1 else {0, *range(2, most_workers + 1)})


class Ending:
    """A block function that ends the process it runs in."""

    def __call__(self, block: LineBlock) -> int:
        """Never."""
        os.kill(os.getpid(), signal.SIGKILL)
        return 0


class Mistaken:
    """A block function with a mistake in it."""

    def __call__(self, block: LineBlock) -> float:
        """Never."""
        return 1 / (block.first - block.first)


class Upper:
    """A block function with large results."""

    def __call__(self, block: LineBlock) -> bytes:
        """As many bytes as were read."""
        return block.raw.upper()


def test_a_worker_that_dies_is_a_failure_with_a_remedy(tmp_path: Path) -> None:
    """A worker killed for memory stops the step; nobody waits for it."""
    path = rows(tmp_path / "train.jsonl", 5)

    with (
        WorkerPool(1) as pool,
        pytest.raises(StepFailed, match=matching("data/was-killed")),
    ):
        list(pool.results(path, Ending()))


def test_a_mistake_in_a_worker_is_raised_here_with_its_place(tmp_path: Path) -> None:
    """An unexpected error arrives with the worker's traceback as its cause."""
    path = rows(tmp_path / "train.jsonl", 5)

    with WorkerPool(1) as pool, pytest.raises(ZeroDivisionError, match="division by zero") as caught:
        list(pool.results(path, Mistaken()))
    assert "return 1 / (block.first - block.first)" in str(caught.value.__cause__)


def test_a_pool_that_is_left_early_is_gone(tmp_path: Path, samples: Path) -> None:
    """Workers with results that nobody took are ended and reaped when the context ends."""
    with WorkerPool(2) as pool:
        first = next(pool.results(samples, Upper()))
        ids = [process.pid for process in multiprocessing.active_children() if process.pid]

    assert first == next(blocks(samples)).raw.upper()
    assert ids
    for pid in ids:
        with pytest.raises(ChildProcessError, match="No child processes"):
            os.waitpid(pid, os.WNOHANG)


@pytest.mark.parametrize("started", ["list", "next"], ids=["idle", "busy"])
def test_workers_end_when_their_program_is_killed(samples: Path, started: str) -> None:
    """After SIGKILL of the program, the workers close the standard error that they share with it."""
    script = (
        "import sys, time; from pathlib import Path; from polytune.data.workers import WorkerPool;"
        "from tests.data.test_data_workers import Upper\n"
        f"path = Path({str(samples)!r})\n"
        f"with WorkerPool(2) as pool:\n {started}(pool.results(path, Upper()))\n"
        " print('up', flush=True)\n time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        said = program.stdout.readline()
        program.kill()
        _, complaints = program.communicate(timeout=60)

    assert said == "up\n"
    # Only the tracker of shared semaphores, which outlives the program to remove them, may have a word.
    assert "Traceback" not in complaints
