"""Killed and interrupted at any moment, a run loses no finished answer and pays none twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import msgspec

from tests.asking.asking_steps import Shop, openai
from tests.asking.asking_stub import Stub, answer_to

repository = Path(__file__).parents[2]
count, concurrency, kills = 600, 16, 6
experiment = """\
name: asked
project: asked
platform: {kind: local}
steps:
  generate:
    prompts: prompts.yaml
    teacher: {kind: openai_compatible, model: stub-1, url: "%s"}
    count: 2000
"""


def remembered(shop: Shop) -> set[str]:
    """The texts of the answers in memory."""
    with closing(shop.ledger()) as ledger:
        rows = ledger.connection.execute("SELECT body FROM answers").fetchall()
    return {msgspec.json.decode(body)["choices"][0]["message"]["content"] for (body,) in rows}


def started(*words: str, folder: Path) -> subprocess.Popen[bytes]:
    """A child of ours that says nothing."""
    environment = {**os.environ, "PYTHONPATH": str(repository), "POLYTUNE_CONCURRENCY": str(concurrency)}
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_kill_9_at_any_moment_repeats_no_finished_answer(tmp_path: Path) -> None:
    """Six kills at random moments: what was in memory is not asked again, and repeats are only what was
    on its way."""
    dice = random.Random(11)
    with Stub(seconds=0.02) as stub:
        shop = Shop(tmp_path, openai(stub.url), count=count, concurrency=concurrency)
        shop.step()
        shop.ledger().close()
        words = ("-m", "tests.asking.asking_child", str(tmp_path), stub.url, str(count), str(concurrency))
        for _ in range(kills):
            before, known = len(stub.seen), remembered(shop)
            asked_then = dict(stub.asked)
            with started(*words, folder=tmp_path) as child:
                while len(stub.seen) == before and child.poll() is None:
                    time.sleep(0.005)
                time.sleep(dice.uniform(0.0, 0.12))
                child.kill()
            for prompt, asked in stub.asked.items():
                if answer_to(prompt) in known:
                    assert asked == asked_then[prompt]
            assert known <= remembered(shop)
        shop.run()

    repeats = sum(asked - 1 for asked in stub.answered.values())
    assert len(stub.answered) == count
    assert repeats <= kills * 4 * concurrency
    assert len(shop.samples()) == count


def test_an_interrupt_stops_within_two_seconds_and_loses_nothing(tmp_path: Path) -> None:
    """SIGINT to the program: it is gone within two seconds, and no answer that it got is asked for again."""
    (tmp_path / "runs").mkdir()
    prompts = {"templates": ["Piece {{ n }}"], "slots": {"n": list(range(900))}}
    (tmp_path / "prompts.yaml").write_text(json.dumps(prompts))
    with Stub(seconds=0.1) as stub:
        (tmp_path / "asked.yaml").write_text(experiment % stub.url)
        shop = Shop(tmp_path, openai(stub.url))
        with started("-m", "polytune", "run", "asked.yaml", "--yes", folder=tmp_path) as child:
            while len(stub.seen) < 3 * concurrency and child.poll() is None:
                time.sleep(0.01)
            began = time.monotonic()
            child.send_signal(signal.SIGINT)
            child.wait(10)
            seconds = time.monotonic() - began
        known, answered = remembered(shop), dict(stub.answered)

    assert child.returncode == 130
    assert seconds < 2
    assert known == {answer_to(prompt) for prompt in answered}
    assert len(known) >= 3 * concurrency
