"""The blocks of a file, each through one function; those of large files by worker processes.

    file --spans--> worker --results--.
         `-spans--> worker --results--+--> the caller, in file order

A worker is told where to read and reads for itself. Each is given a few spans at a time, so memory does
not grow with the file. The results are the same with any number of workers, and with none; values of
`hash` in them differ from crew to crew and agree within one.
"""

from __future__ import annotations

import os
import pickle
import secrets
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar, cast

from polytune.data.lines import LineBlock, Span, blocks, spans
from polytune.errors import DataError, StepFailed

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)

fewest_bytes = 64 << 20
"""Below this, starting workers takes as long as they save (measured with two processors, 2026-11)."""
most_workers = 4
"""With more of them the caller is the one who cannot keep up."""
spans_ahead = 3
"""How many spans a worker is given at a time."""
pipe_bytes = 1 << 20


class BlockFunction(Protocol[Result_co]):
    """Looks at nothing but the block and what it was made with; it is pickled, and so is its result."""

    def __call__(self, block: LineBlock) -> Result_co:
        """What the block comes to. Raises DataError."""


def workers_for(files: Iterable[Path]) -> int:
    """How many workers pay for themselves: none where there is little to read, or one processor only."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    size = sum(path.stat().st_size for path in files if path.exists())
    return min(processors, most_workers) if processors > 1 and size >= fewest_bytes else 0


class Crew:
    """So many workers for as long as the context lasts; with none, the calling process does their work."""

    def __init__(self, workers: int) -> None:
        self._size = workers
        self.workers: list[Worker] = []

    def __enter__(self) -> Self:
        seed = secrets.randbits(32)
        self.workers = [Worker(seed) for _ in range(self._size)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            worker.end()

    def results(self, path: Path, function: BlockFunction[Result]) -> Iterator[Result]:
        """What the function makes of each block of the file, in order; to be taken to the end.

        Raises what the function raises, and DataError when the file cannot be read: in the place of
        that block's result, as without workers.
        """
        if not self.workers:
            return map(function, blocks(path))
        return cast(Iterator[Result], self._ordered(path, function))

    def _ordered(self, path: Path, function: BlockFunction[object]) -> Iterator[object]:
        waiting: deque[Worker | Refusal] = deque()
        for asked in self._asked(path, function):
            waiting.append(asked)
            if len(waiting) == spans_ahead * self._size:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _asked(self, path: Path, function: BlockFunction[object]) -> Iterator[Worker | Refusal]:
        """Who owes the result of each block, one after the other."""
        try:
            for number, span in enumerate(spans(path)):
                worker = self.workers[number % self._size]
                worker.ask(function, path, span)
                yield worker
        except DataError as error:
            yield Refusal(error)


class Refusal:
    """In the place of a block that cannot be read."""

    def __init__(self, error: DataError) -> None:
        self._error = error

    def result(self) -> object:
        """Raises why."""
        raise self._error


class Worker:
    """A process that runs `polytune.data.worker`; it ends by itself when this one is killed."""

    def __init__(self, hash_seed: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "polytune.data.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": _import_path()},
            start_new_session=True,
            pipesize=pipe_bytes,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions = self._process.stdin
        self._answers = self._process.stdout

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def ask(self, function: BlockFunction[object], path: Path, span: Span) -> None:
        """The worker will see to the span after those it was given before."""
        try:
            pickle.dump((function, path, span), self._questions, pickle.HIGHEST_PROTOCOL)
            self._questions.flush()
        except BrokenPipeError as error:
            raise self._lost() from error

    def result(self) -> object:
        """The result of the earliest span that is still owed. Raises what the function raised."""
        try:
            answer = pickle.load(self._answers)
        except (EOFError, pickle.UnpicklingError) as error:
            raise self._lost() from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def end(self) -> None:
        """The process is gone, whatever it was doing."""
        self._process.kill()
        self._answers.close()
        with suppress(BrokenPipeError):
            self._questions.close()
        self._process.wait()

    def _lost(self) -> StepFailed:
        return StepFailed(
            f"a process that read the data ended with status {self._process.wait()}. "
            "Run it again; if that does not help, see whether memory is short."
        )


def _import_path() -> str:
    """Where this process finds modules, so that a worker finds the same ones."""
    return os.pathsep.join(entry or os.getcwd() for entry in sys.path)
