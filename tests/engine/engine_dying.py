"""The program, killed right before its n-th rename, which Python's audit events announce."""

from __future__ import annotations

import os
import signal
import sys
from itertools import count

from polytune.cli.main import main

renames = count(1)
last = int(os.environ["DIE_BEFORE_RENAME"])


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """Counts the renames below `runs/`, and ends the process before the last one."""
    if event == "os.rename" and "/runs/" in str(arguments[1]) and next(renames) == last:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.addaudithook(watch)
    main()
