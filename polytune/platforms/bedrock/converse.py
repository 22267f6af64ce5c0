"""Asks models on Bedrock through Converse: many questions for a run, or one, whole or piece by piece."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from polytune.aws.access import Access
from polytune.aws.failures import AwsFailure
from polytune.aws.service import Service
from polytune.base_models.interface import Prices
from polytune.engine.clock import Clock
from polytune.platforms.bedrock.failures import calling
from polytune.platforms.interface import Inference, Invoker, Question, Reply
from polytune.platforms.management import MeasuredAnswer, ModelClient

at_once = 8
converse_read_timeout_seconds = 900
patience_seconds = 1800.0
"""Some custom models may be asked four times a minute only, and a new deployment may not be ready."""
first_wait_seconds, longest_wait_seconds = 2.0, 60.0


@dataclass(frozen=True)
class Target:
    """What to ask, and what asking costs."""

    model_id: str
    input_usd_per_1k_tokens: float | None
    output_usd_per_1k_tokens: float | None

    def price_usd(self, read: int, written: int) -> float | None:
        """What an answer costs; None when no price is known."""
        if self.input_usd_per_1k_tokens is None or self.output_usd_per_1k_tokens is None:
            return None
        return (read * self.input_usd_per_1k_tokens + written * self.output_usd_per_1k_tokens) / 1000


def base_target(model_id: str, prices: Prices) -> Target:
    """The base model on demand."""
    return Target(model_id, prices.input_usd_per_1k_tokens, prices.output_usd_per_1k_tokens)


def custom_target(model_id: str, prices: Prices) -> Target:
    """A custom model on demand."""
    return Target(model_id, prices.custom_input_usd_per_1k_tokens, prices.custom_output_usd_per_1k_tokens)


class ConverseInvoker(Invoker):
    """Converse, with waiting for what passes: throttling, a model that is not ready yet."""

    def __init__(self, access: Access, target: Target, inference: Inference, clock: Clock) -> None:
        self.access = access
        self.target = target
        self.inference = inference
        self.clock = clock
        self.batches_at_once = at_once

    def most_usd(self, question: Question) -> float:
        """Every byte a token, and the longest answer."""
        read = len(question.system.encode()) + len(question.prompt.encode())
        return self.target.price_usd(read, self.inference.max_tokens) or 0.0

    async def ask(self, questions: Sequence[Question]) -> list[Reply]:
        """One reply to each question. Raises StepFailed, and Paused when waiting did not help."""
        return [await self._asked(question) for question in questions]

    async def _asked(self, question: Question) -> Reply:
        service = self.access.service("bedrock-runtime", read_timeout_seconds=converse_read_timeout_seconds)
        members = request_members(self.target, self.inference, question)
        waited, wait = 0.0, first_wait_seconds
        while True:
            with calling(f"Converse {self.target.model_id}"):
                try:
                    return self._reply(await asyncio.to_thread(service.call, "Converse", members))
                except AwsFailure as failure:
                    if not failure.transient or waited >= patience_seconds:
                        raise
            await self.clock.sleep(wait)
            waited, wait = waited + wait, min(longest_wait_seconds, 2 * wait)

    def _reply(self, answer: Mapping[str, Any]) -> Reply:
        usage = answer["usage"]
        read, written = usage["inputTokens"], usage["outputTokens"]
        return Reply(
            text=_text(answer),
            input_tokens=read,
            output_tokens=written,
            price_usd=self.target.price_usd(read, written),
        )


@dataclass
class ConverseClient(ModelClient):
    """Asks one model one question, with its figures."""

    access: Access
    target: Target
    inference: Inference

    def ask(self, question: Question) -> MeasuredAnswer:
        """The whole answer. Raises AwsFailure."""
        began = time.monotonic()
        found = self._runtime.call("Converse", request_members(self.target, self.inference, question))
        return self._answer(_text(found), found, time.monotonic() - began)

    def stream(self, question: Question) -> Iterator[str | MeasuredAnswer]:
        """The pieces of the text as they arrive, then the answer. Raises AwsFailure, also halfway."""
        began, first, pieces = time.monotonic(), None, []
        said: dict[str, Any] = {}
        for event in self._runtime.stream(
            "ConverseStream", request_members(self.target, self.inference, question), "stream"
        ):
            piece = event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
            if piece:
                first = time.monotonic() - began if first is None else first
                pieces.append(piece)
                yield piece
            said |= event.get("messageStop", {}) | event.get("metadata", {})
        answer = self._answer("".join(pieces), said, time.monotonic() - began)
        yield msgspec.structs.replace(answer, first_seconds=first)

    @property
    def _runtime(self) -> Service:
        return self.access.service("bedrock-runtime", read_timeout_seconds=converse_read_timeout_seconds)

    def _answer(self, text: str, said: dict[str, Any], seconds: float) -> MeasuredAnswer:
        usage = said.get("usage") or {}
        read, written = int(usage.get("inputTokens", 0)), int(usage.get("outputTokens", 0))
        return MeasuredAnswer(
            text=text,
            input_tokens=read,
            output_tokens=written,
            seconds=round(seconds, 4),
            server_ms=(said.get("metrics") or {}).get("latencyMs"),
            stop_reason=str(said.get("stopReason", "")),
            usd=self.target.price_usd(read, written),
        )


def request_members(target: Target, inference: Inference, question: Question) -> dict[str, Any]:
    """Converse's members for one question."""
    members: dict[str, Any] = {
        "modelId": target.model_id,
        "messages": [{"role": "user", "content": [{"text": question.prompt}]}],
        "inferenceConfig": {"maxTokens": inference.max_tokens, "temperature": inference.temperature},
    }
    return members | ({"system": [{"text": question.system}]} if question.system else {})


def _text(answer: Mapping[str, Any]) -> str:
    """The text of an answer; blocks of reasoning or tools are left out."""
    return "".join(block.get("text", "") for block in answer["output"]["message"]["content"])
