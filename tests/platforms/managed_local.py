"""This machine for the management suite: a real process that writes what a trainer writes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polytune.engine.jobbook import JobBook, JobRow, JobState
from polytune.engine.ledger import Ledger
from polytune.engine.processes import ProcessDriver, alive, stop
from polytune.engine.workspace import Workspace
from polytune.platforms.local.management import LocalManagement
from polytune.settings import load_settings
from tests.engine.engine_bench import eventually
from tests.platforms.managed import Example

token = "0123456789abcdef0123456789abcdef-1"
trainer = """
import json, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
with (folder / "progress.jsonl").open("w") as progress:
    for step in (1, 2, 3):
        line = {"step": step, "of": 3, "epoch": 0.5, "loss": 2.0 / step, "seconds": 0.1}
        progress.write(json.dumps(line) + "\\n")
(folder / "ready").touch()
while not (folder / "open").exists():
    time.sleep(0.01)
(folder / "result.tmp").write_text('{"status": "completed"}')
(folder / "result.tmp").replace(folder / "result.json")
"""


class LocalExample(Example):
    """Its one job is a child process that waits."""

    foreign = token

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.workspace = Workspace(folder)
        self.ledger = ledger
        self.management = LocalManagement(self.workspace, load_settings(folder), ledger, region="")

    @property
    def folder(self) -> Path:
        """Where the job works."""
        return self.workspace.jobs / token

    def start(self) -> str:
        """A process of its own group, and its row in the ledger."""
        driver = ProcessDriver(
            self.workspace.jobs, (sys.executable, "-S", "-E", "-c", trainer), {"PATH": os.environ["PATH"]}
        )
        handle = asyncio.run(driver.submit(token, {}, "lines/1 train"))
        eventually((self.folder / "ready").exists, "the trainer to start")
        JobBook(self.ledger).record(
            JobRow(
                token=token,
                key="k" * 64,
                attempt=1,
                state=JobState.SUBMITTED,
                step="lines/1 train",
                request={},
                handle=handle,
            )
        )
        return token

    def finish(self, job: str) -> None:
        """The process is let go, and ends."""
        (self.folder / "open").touch()
        eventually(lambda: not alive(self.folder), "the trainer to end")


@contextmanager
def example(folder: Path) -> Iterator[Example]:
    """A workspace whose process does not outlive the `with`."""
    workspace = Workspace(folder)
    workspace.create()
    ledger = Ledger.open(workspace.ledger)
    made = LocalExample(folder, ledger)
    try:
        yield made
    finally:
        stop(made.folder)
        ledger.close()
