"""Threads for calls that block, which the end of the program does not wait for.

A reply can take minutes; Python's own pools would keep an interrupted program alive that long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class PassingThreads(Executor):
    """A thread for each call; how many run at once is the caller's affair."""

    def submit(self, work: Callable[..., T], /, *args: Any, **named: Any) -> Future[T]:
        """The call runs; its result or exception is in the future."""
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
    """What the call returns or raises; when cancelled, nobody waits for it any more."""
    return await asyncio.get_running_loop().run_in_executor(_threads, work, *args)
