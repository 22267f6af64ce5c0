"""Runs one generate step in a process of its own, to be killed: FOLDER URL COUNT CONCURRENCY."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.asking.asking_steps import Shop, openai

if __name__ == "__main__":
    folder, url, count, concurrency = sys.argv[1:]
    Shop(Path(folder), openai(url), count=int(count), concurrency=int(concurrency)).run()
