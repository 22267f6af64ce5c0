"""Runs a command and kills it, with all that it started, when a pipe closes: `_supervisor.py FD WORD...`.

The grader holds the other end of the pipe. The pipe closes when the grader closes it, and also when
polytune is killed without a chance to clean up, so no judge outlives the run that started it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from threading import Thread

cannot_start = 127


def main(words: list[str]) -> int:
    """The command's exit status, after everything it started has been killed; 128 + signal for a signal."""
    pipe, command = int(words[0]), words[1:]
    # A session of its own makes the command and its children one process group, to be ended as a whole.
    try:
        process = subprocess.Popen(command, start_new_session=True)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return cannot_start
    # Only the command may hold its pipes: they must close when it ends, not when this process does.
    _release_standard_streams()
    Thread(target=_end_when_closed, args=(pipe, process.pid), daemon=True).start()
    # Looking without reaping keeps the process id taken, so the group that dies is surely this one.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    _kill(process.pid)
    status = process.wait()
    return status if status >= 0 else 128 - status


def _end_when_closed(pipe: int, group: int) -> None:
    # Nobody writes to the pipe, so a read returns when its last writer has closed it.
    os.read(pipe, 1)
    _kill(group)


def _kill(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _release_standard_streams() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
