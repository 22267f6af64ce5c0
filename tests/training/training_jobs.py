"""Small jobs for the training tests: rows of a few patterns, and the programs run as real processes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from polytune.training.protocol import (
    PROGRESS_NAME,
    Completed,
    Failed,
    TinyLlama,
    TrainRequest,
    TrainResult,
    read_result,
    write_request,
)

SYSTEM = "You write Strudel code."
COMMAND = (sys.executable, "-m", "polytune.training.train")
_DRUMS = {"techno": "bd*4", "jazz": "bd ~ hh ~", "ambient": "bd ~ ~ ~"}
_NOTES = ("c3", "eb3", "g3", "bb3")


def patterns(count: int, seed: int) -> list[tuple[str, str]]:
    """Prompts and the code they ask for."""
    dice = random.Random(seed)
    found = []
    for _ in range(count):
        style, bpm = dice.choice(sorted(_DRUMS)), dice.randrange(70, 150)
        melody = " ".join(dice.choices(_NOTES, k=4))
        code = f'setcpm({bpm}/4)\nstack(\n  s("{_DRUMS[style]}"),\n  note("{melody}").s("sine")\n)'
        found.append((f"Write a {style} pattern at {bpm} bpm.", code))
    return found


def conversation(prompt: str, answer: str) -> str:
    """One line in the layout of Bedrock's conversations."""
    return json.dumps(
        {
            "schemaVersion": "bedrock-conversation-2024",
            "system": [{"text": SYSTEM}],
            "messages": [
                {"role": "user", "content": [{"text": prompt}]},
                {"role": "assistant", "content": [{"text": answer}]},
            ],
        }
    )


def pair(prompt: str, answer: str) -> str:
    """One line in the layout of prompts and completions."""
    return json.dumps({"prompt": prompt, "completion": answer})


@dataclass(frozen=True)
class Files:
    """A training and a validation file, as absolute paths."""

    train: str
    validation: str


def make_files(folder: Path) -> Files:
    """24 conversations and 6 pairs to train on, 6 conversations to validate with."""
    train, validation = folder / "train.jsonl", folder / "validation.jsonl"
    rows = patterns(30, seed=1)
    lines = [*(conversation(*row) for row in rows[:24]), *(pair(*row) for row in rows[24:])]
    train.write_text("".join(line + "\n" for line in lines))
    validation.write_text("".join(conversation(*row) + "\n" for row in patterns(6, seed=2)))
    return Files(str(train), str(validation))


def tiny_request(files: Files, cache_folder: Path) -> TrainRequest:
    """Eight optimizer steps of tiny-llama on one thread."""
    return TrainRequest(
        base=TinyLlama(),
        method="full",
        train_file=files.train,
        validation_file=files.validation,
        epochs=2,
        learning_rate=3e-3,
        warmup_steps=2,
        batch_size=8,
        max_length=256,
        seed=5,
        threads=1,
        device="cpu",
        cache_folder=str(cache_folder),
    )


def trained(job: Path, request: TrainRequest, **environment: str) -> TrainResult:
    """The result of a job that ran to its end in a process of its own."""
    job.mkdir(exist_ok=True)
    write_request(job, request)
    subprocess.run(
        [*COMMAND, str(job)], env={**os.environ, **environment}, check=False, capture_output=True, timeout=300
    )
    result = read_result(job)
    assert result is not None
    return result


def completed(result: TrainResult) -> Completed:
    """The result, which must be a completed one."""
    assert isinstance(result, Completed), result
    return result


def failure(result: TrainResult) -> str:
    """The message of a result that must be a failed one."""
    assert isinstance(result, Failed), result
    return result.message


def killed_while_training(job: Path, request: TrainRequest) -> None:
    """The job was killed after its first step and has no result."""
    job.mkdir()
    write_request(job, request)
    with subprocess.Popen([*COMMAND, str(job)], stderr=subprocess.DEVNULL) as process:
        while not (job / PROGRESS_NAME).exists() and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert read_result(job) is None


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its relative path."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def changed(request: TrainRequest, **fields: object) -> TrainRequest:
    """The request with other values in some fields."""
    return msgspec.structs.replace(request, **fields)
