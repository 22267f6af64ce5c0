"""Asks a local model through the answering program, one batch at a time."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from polytune.errors import StepFailed
from polytune.platforms.interface import Inference, InvokedAnswer, Invoker, Question
from polytune.settings import Settings
from polytune.training import protocol

line_limit_bytes = 64 << 20


class ChildInvoker(Invoker):
    """Starts the answering program when entered; it ends when its input is closed, so never outlives us."""

    batch_size = 16

    def __init__(self, model: str, inference: Inference, device: str, settings: Settings) -> None:
        self.model = model
        self.command = [
            *(sys.executable, "-m", "polytune.training.answer", "--model", model),
            *("--device", device, "--threads", str(settings.threads)),
            *("--cache-folder", str(settings.cache_folder)),
            *("--max-tokens", str(inference.max_tokens), "--temperature", str(inference.temperature)),
            *("--seed", str(inference.seed)),
        ]
        self.asked = 0

    async def __aenter__(self) -> Self:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the child
        self.child = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self.errors,
            limit=line_limit_bytes,
            start_new_session=True,
        )
        ready = protocol.decode(await self._line(), protocol.Ready, self.model)
        if not ready.ready:
            raise StepFailed(f"{self.model}: {ready.error}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self.child.stdin is not None
        self.child.stdin.close()
        if kind is not None and self.child.returncode is None:
            self.child.kill()
        await self.child.wait()
        self.errors.close()

    async def ask(self, questions: Sequence[Question]) -> list[InvokedAnswer]:
        """One answer to each question. Raises StepFailed when the program cannot answer."""
        assert self.child.stdin is not None
        self.asked += 1
        asked = [protocol.ModelQuestion(system=q.system, prompt=q.prompt) for q in questions]
        self.child.stdin.write(protocol.encode(protocol.QuestionBatch(id=self.asked, requests=asked)))
        await self.child.stdin.drain()
        batch = protocol.decode(await self._line(), protocol.AnswerBatch, self.model)
        if batch.error is not None:
            raise StepFailed(f"{self.model}: {batch.error}")
        return [
            InvokedAnswer(text=a.text, input_tokens=a.input_tokens, output_tokens=a.output_tokens)
            for a in batch.answers
        ]

    async def _line(self) -> bytes:
        assert self.child.stdout is not None
        line = await self.child.stdout.readline()
        if not line:
            raise StepFailed(f"{self.model}: the answering program ended{await self._last_words()}")
        return line

    async def _last_words(self) -> str:
        await self.child.wait()
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""
