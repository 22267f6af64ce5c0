"""Calls models on Bedrock through Converse: many questions for a run, or a single one, also streamed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from polytune.asking.converse import ConverseConnection
from polytune.aws.access import Access
from polytune.aws.service import Service
from polytune.base_models.interface import Prices
from polytune.platforms.interface import Inference, InvokedAnswer, Invoker, Question
from polytune.platforms.management import MeasuredAnswer, ModelClient

at_once = 8
# Long answers of large models take minutes; boto3's default of 60 s would cut them off, and retry.
converse_read_timeout_seconds = 900


@dataclass(frozen=True)
class Target:
    """The model to call, and its token prices."""

    model_id: str
    input_usd_per_1k_tokens: float | None
    output_usd_per_1k_tokens: float | None

    def price_usd(self, read: int, written: int) -> float | None:
        """The cost of an answer; None when no price is known."""
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
    """One Converse request per question. The caller decides when to retry."""

    def __init__(self, access: Access, target: Target, inference: Inference) -> None:
        self.target = target
        self.inference = inference
        self.batches_at_once = at_once
        # The same text as a teacher's endpoint, because both count against the same quota.
        self.endpoint = f"Bedrock {access.region} {target.model_id}"
        self._connection = ConverseConnection(target.model_id, access)

    def most_usd(self, question: Question) -> float:
        """An upper bound: every byte counts as a token, and the answer has the maximum length."""
        read = len(question.system.encode()) + len(question.prompt.encode())
        return self.target.price_usd(read, self.inference.max_tokens) or 0.0

    async def ask(self, questions: Sequence[Question]) -> list[InvokedAnswer]:
        """One answer per question. Raises Failure, and Paused without valid credentials."""
        return [await self._asked(question) for question in questions]

    async def _asked(self, question: Question) -> InvokedAnswer:
        answer = await self._connection.call(request_members(self.target, self.inference, question))
        usage = answer["usage"]
        read, written = usage["inputTokens"], usage["outputTokens"]
        return InvokedAnswer(
            text=_text(answer),
            input_tokens=read,
            output_tokens=written,
            price_usd=self.target.price_usd(read, written),
        )


@dataclass
class ConverseClient(ModelClient):
    """Asks one model one question at a time, and measures the answers."""

    access: Access
    target: Target
    inference: Inference

    def ask(self, question: Question) -> MeasuredAnswer:
        """The complete answer. Raises AwsFailure."""
        began = time.monotonic()
        found = self._runtime.call("Converse", request_members(self.target, self.inference, question))
        return self._answer(_text(found), found, time.monotonic() - began)

    def stream(self, question: Question) -> Iterator[str | MeasuredAnswer]:
        """The pieces of the text as they arrive, then the answer. Raises AwsFailure, also mid-answer."""
        began, first, pieces = time.monotonic(), None, []
        stated: dict[str, Any] = {}
        for event in self._runtime.stream(
            "ConverseStream", request_members(self.target, self.inference, question), "stream"
        ):
            piece = event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
            if piece:
                first = time.monotonic() - began if first is None else first
                pieces.append(piece)
                yield piece
            stated |= event.get("messageStop", {}) | event.get("metadata", {})
        answer = self._answer("".join(pieces), stated, time.monotonic() - began)
        yield msgspec.structs.replace(answer, first_seconds=first)

    @property
    def _runtime(self) -> Service:
        return self.access.service("bedrock-runtime", read_timeout_seconds=converse_read_timeout_seconds)

    def _answer(self, text: str, stated: dict[str, Any], seconds: float) -> MeasuredAnswer:
        usage = stated.get("usage") or {}
        read, written = int(usage.get("inputTokens", 0)), int(usage.get("outputTokens", 0))
        return MeasuredAnswer(
            text=text,
            input_tokens=read,
            output_tokens=written,
            seconds=round(seconds, 4),
            server_ms=(stated.get("metrics") or {}).get("latencyMs"),
            stop_reason=str(stated.get("stopReason", "")),
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
