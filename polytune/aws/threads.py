"""Threads for blocking calls; the program exits without waiting for them.

A reply can take minutes, and Python's own thread pools would keep an interrupted program alive that long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class PassingThreads(Executor):
    """One new daemon thread per call; the caller limits how many run at once."""

    def submit(self, work: Callable[..., T], /, *args: Any, **named: Any) -> Future[T]:
        """The call is running; its result or exception goes into the future."""
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(work(*args, **named))
            except BaseException as error:  # noqa: BLE001 - raised again where the future is awaited
                future.set_exception(error)

        Thread(target=run, daemon=True).start()
        return future


_threads = PassingThreads()


async def in_thread(work: Callable[..., T], /, *args: Any) -> T:
    """What the call returns or raises. When cancelled, the call keeps running and its result is discarded."""
    return await asyncio.get_running_loop().run_in_executor(_threads, work, *args)
