"""Standard streams that stop nothing: a closed one, a reader that has left, a terminal that is gone.

A run that was paid for does not end because its output was piped into `head`, or its terminal was closed.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

gone = (errno.EPIPE, errno.EIO)
"""Errors of writing to a pipe that nobody reads, and to a terminal that was closed."""


class _Lasting(io.FileIO):
    """A file that takes what it can no longer pass on."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno in gone:
                return len(data)
            raise


def keep_streams() -> None:
    """Make standard output and error outlast their readers; open the ones that are closed on nothing."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Takes the lowest free number, which is this one. Otherwise the next file to be opened, such as
            # the ledger, would receive what is written to the stream.
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = _lasting(sys.stdout, 1)
    sys.stderr = _lasting(sys.stderr, 2)


def _lasting(stream: Any, number: int) -> io.TextIOWrapper:
    if stream is not None:
        stream.flush()
    raw = _Lasting(number, "w", closefd=False)
    # As Python makes them: standard error shows every line at once, standard output only on a terminal.
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(stream, "encoding", "utf-8"),
        errors=getattr(stream, "errors", "backslashreplace"),
        line_buffering=number == 2 or raw.isatty(),
    )
