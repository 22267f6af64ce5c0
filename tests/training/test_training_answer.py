"""The answering program, run for real with small models."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from polytune.training.protocol import AnswerBatch, ModelQuestion, QuestionBatch, Ready, encode
from tests.messages import message
from tests.training.training_jobs import SYSTEM

pytestmark = pytest.mark.xdist_group("training")  # the jobs are trained once a worker


class Program:
    """A running answering program."""

    def __init__(self, model: Path, *options: str) -> None:
        command = [sys.executable, "-m", "polytune.training.answer", "--model", str(model), "--threads", "1"]
        self.process = subprocess.Popen(
            [*command, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.ready = msgspec.json.decode(self._line(), type=Ready)

    def ask(self, number: int, questions: Sequence[ModelQuestion]) -> AnswerBatch:
        """The reply to a batch."""
        return self.say(encode(QuestionBatch(id=number, requests=list(questions))))

    def say(self, line: bytes) -> AnswerBatch:
        """The reply to a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()
        return msgspec.json.decode(self._line(), type=AnswerBatch)

    def close(self) -> int:
        """The program's exit code after its input ended."""
        self.process.communicate(timeout=60)
        return self.process.returncode

    def _line(self) -> bytes:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@pytest.fixture(scope="module")
def program(tiny_job: Path) -> Iterator[Program]:
    """The trained tiny-llama, drawing answers of at most 24 tokens."""
    running = Program(
        tiny_job / "output" / "model", "--max-tokens", "24", "--temperature", "0.8", "--seed", "3"
    )
    yield running
    running.close()


QUESTIONS = [
    ModelQuestion(system=SYSTEM, prompt="Write a techno pattern at 120 bpm."),
    ModelQuestion(prompt="Jazz."),
    ModelQuestion(system=SYSTEM, prompt="Write an ambient pattern at 70 bpm, slow and long."),
]


def test_says_that_it_is_ready(program: Program) -> None:
    """The first line gives the model's size and device."""
    assert program.ready.ready
    assert program.ready.parameters > 850_000
    assert program.ready.device in ("cpu", "cuda")


def test_answers_a_batch_in_order(program: Program) -> None:
    """Each question gets an answer with its token counts, under the batch's number."""
    reply = program.ask(7, QUESTIONS)

    assert (reply.id, reply.error) == (7, None)
    assert len(reply.answers) == 3
    prompts = [answer.input_tokens for answer in reply.answers]
    assert prompts[1] < prompts[0] < prompts[2]
    for answer in reply.answers:
        assert 1 <= answer.output_tokens <= 24
        assert (answer.finish == "length") == (answer.output_tokens == 24 and answer.text != "")
        assert "<|" not in answer.text


def test_the_same_batch_gets_the_same_answers(program: Program) -> None:
    """Neither the batch's number nor what was asked before changes an answer."""
    first = program.ask(1, QUESTIONS)
    program.ask(2, QUESTIONS[:1])

    assert program.ask(3, QUESTIONS).answers == first.answers


def test_an_empty_batch_is_answered(program: Program) -> None:
    """No questions get no answers."""
    assert program.ask(4, []) == AnswerBatch(id=4)


def test_a_line_that_is_no_batch(program: Program) -> None:
    """A broken line gets an error and the program goes on."""
    reply = program.say(b'{"id": 5, "requests": [{}]}\n')

    assert reply.id is None
    assert reply.error is not None
    assert re.search("question batch: .*prompt", reply.error)
    assert len(program.ask(6, QUESTIONS).answers) == 3


def test_a_prompt_that_does_not_fit(program: Program) -> None:
    """A prompt longer than the model's positions is an error with the figures, not a crash."""
    reply = program.ask(8, [ModelQuestion(prompt="z" * 3000)])

    assert reply.id == 8
    assert reply.error is not None
    assert message("training/exceed-model-positions", positions=2048) in reply.error


def test_ends_with_its_input(lora_result: tuple[Path, object]) -> None:
    """The program answers greedily with a merged model and exits with 0 when its input is closed."""
    program = Program(lora_result[0] / "output" / "model", "--max-tokens", "5")
    answer = program.ask(1, QUESTIONS[:1]).answers[0]

    assert answer.output_tokens <= 5
    assert program.close() == 0


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    """Without a model the first line says why, and the program exits with 1."""
    program = Program(tmp_path / "gone")

    assert not program.ready.ready
    assert program.ready.error == message("training/base-model", tmp_path=tmp_path / "gone")
    assert program.close() == 1
