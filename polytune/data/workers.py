"""Applies a function to each block of a file; for large files in a pool of worker processes.

    file --spans--> worker --results--.
         `-spans--> worker --results--+--> the caller, in file order

A worker gets the place of a block and reads it itself. Only a few spans are submitted at a time, so memory
does not grow with the file. Results are the same with any number of workers, including none; values of
`hash` in them can be compared within one run only.
"""

from __future__ import annotations

import gc
import os
import secrets
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar

from polytune.data.lines import LineBlock, Span, block_at, blocks, spans
from polytune.errors import DataError, StepFailed

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)

fewest_bytes = 64 << 20
"""For smaller files, starting workers takes as long as they save (measured with two processors, 2026-11)."""
most_workers = 4
"""With more workers the calling process is the bottleneck."""
spans_ahead = 3
"""The number of spans per worker that are submitted before the oldest result is taken."""

_seeding = threading.Lock()


class BlockFunction(Protocol[Result_co]):
    """A function that depends only on the block and its own fields; it is pickled, and so is its result."""

    def __call__(self, block: LineBlock) -> Result_co:
        """The result for the block. Raises DataError."""


def workers_for(files: Iterable[Path]) -> int:
    """The number of workers worth starting: 0 for small files, or on a single processor."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    size = sum(path.stat().st_size for path in files if path.exists())
    return min(processors, most_workers) if processors > 1 and size >= fewest_bytes else 0


class WorkerPool:
    """Worker processes for the duration of the context; with 0, the calling process does the work."""

    def __init__(self, workers: int) -> None:
        self._size = workers
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        if self._size:
            _share_hash_seed()
            # spawn, not fork: the calling process has threads, and a fork copies their locks as they are.
            self._executor = ProcessPoolExecutor(self._size, get_context("spawn"), _prepare_worker)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def results(self, path: Path, function: BlockFunction[Result]) -> Iterator[Result]:
        """The function's result for each block of the file, in order.

        Raises what the function raises, and DataError when the file cannot be read: each in place of that
        block's result, as without workers. Raises StepFailed when a worker dies.
        """
        if self._executor is None:
            return map(function, blocks(path))
        return self._in_order(_submitted(self._executor, path, function))

    def _in_order(self, submitted: Iterator[Future[Result]]) -> Iterator[Result]:
        waiting: deque[Future[Result]] = deque()
        for future in submitted:
            waiting.append(future)
            if len(waiting) == spans_ahead * self._size:
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())


def _submitted(
    executor: ProcessPoolExecutor, path: Path, function: BlockFunction[Result]
) -> Iterator[Future[Result]]:
    """A future for each block, and a failed one at the place where the file cannot be read."""
    try:
        for span in spans(path):
            # A worker may already have died while earlier blocks were submitted.
            with _explained():
                future = executor.submit(_apply, function, path, span)
            yield future
    except DataError as error:
        # Not raised here: results of earlier blocks, or their errors, come first.
        unreadable: Future[Result] = Future()
        unreadable.set_exception(error)
        yield unreadable


def _result(future: Future[Result]) -> Result:
    with _explained():
        return future.result()


@contextmanager
def _explained() -> Iterator[None]:
    """Raises StepFailed when the pool is broken."""
    try:
        yield
    except BrokenProcessPool as error:
        raise StepFailed(
            "a worker process that read the data was killed. Run it again; "
            "if it fails again, check whether the machine is short of memory."
        ) from error


def _share_hash_seed() -> None:
    """Processes started from now on have the same `hash`, because hashes from all workers are compared."""
    # Set permanently: the executor starts its workers one by one, when it needs them.
    with _seeding:
        if not os.environ.get("PYTHONHASHSEED", "").isdigit():
            os.environ["PYTHONHASHSEED"] = str(secrets.randbits(32))


def _prepare_worker() -> None:
    """Sets up a worker process."""
    gc.disable()  # blocks leave no cycles behind
    # Its own session: Ctrl-C reaches only the caller, which shuts down the pool; and on a busy Linux machine
    # the scheduler divides processors by session (twice as fast there, measured 2026-12).
    os.setsid()
    os.dup2(2, 1)  # what a library prints must not end up in the result on standard output
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """Ends the worker when its parent is killed; an idle worker would otherwise wait forever."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _apply(function: BlockFunction[Result], path: Path, span: Span) -> Result:
    return function(block_at(path, span))
