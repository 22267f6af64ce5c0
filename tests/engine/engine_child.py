"""A job of the engine's tests: notes that it started, takes its time, and ends as it was asked to."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def work(folder: Path) -> None:
    """The job in `folder` is over, one way or another."""
    request = json.loads((folder / "request.json").read_bytes())
    descriptor = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, f"{os.getpid()} {folder.resolve().name}\n".encode())
    os.close(descriptor)
    sys.stdout.write("at work\n")
    sys.stdout.flush()
    with (folder / "progress.jsonl").open("a") as progress:
        progress.write('{"step": 1, "of": 2, "loss": 0.5}\n')
    deadline = time.monotonic() + request["seconds"]
    while time.monotonic() < deadline or (request["how"] == "waits" and not Path(request["open"]).exists()):
        time.sleep(0.01)
    if request["how"] == "dies":
        sys.exit("something broke")
    (folder / "out.txt").write_text(request["text"])
    status = (
        {"status": "completed"} if request["how"] != "fails" else {"status": "failed", "message": "no luck"}
    )
    unfinished = folder / "result.tmp"
    unfinished.write_text(json.dumps(status))
    unfinished.replace(folder / "result.json")


if __name__ == "__main__":
    work(Path(sys.argv[1]))
