"""One question to one model on Bedrock, answered whole or piece by piece, with its figures."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from polytune.aws.access import Access
from polytune.aws.service import Service
from polytune.platforms.bedrock.invoker import Target, converse_read_timeout_seconds
from polytune.platforms.interface import Inference, Question


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a model said, and what that took."""

    text: str
    input_tokens: int
    output_tokens: int
    seconds: float
    """From the request to the end of the answer, as this machine saw it."""
    first_seconds: float | None = None
    """Until the first piece of a streamed answer."""
    server_ms: int | None = None
    """The latency that Bedrock states."""
    stop_reason: str = ""
    usd: float | None = None
    """None where no price is known, or none is charged by the token."""


@dataclass
class Talk:
    """Asks one model."""

    access: Access
    target: Target
    inference: Inference

    def ask(self, question: Question) -> Answer:
        """The whole answer. Raises AwsFailure."""
        began = time.monotonic()
        found = self._runtime.call("Converse", self._members(question))
        content = found["output"]["message"]["content"]
        text = "".join(block.get("text", "") for block in content)
        return self._answer(text, found, time.monotonic() - began)

    def stream(self, question: Question) -> Iterator[str | Answer]:
        """The pieces of the text as they arrive, then the Answer. Raises AwsFailure, also halfway."""
        began, first, pieces = time.monotonic(), None, []
        told: dict[str, Any] = {}
        for event in self._runtime.stream("ConverseStream", self._members(question), "stream"):
            piece = event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
            if piece:
                first = time.monotonic() - began if first is None else first
                pieces.append(piece)
                yield piece
            told |= event.get("messageStop", {}) | event.get("metadata", {})
        answer = self._answer("".join(pieces), told, time.monotonic() - began)
        yield msgspec.structs.replace(answer, first_seconds=first)

    @property
    def _runtime(self) -> Service:
        return self.access.service("bedrock-runtime", read_timeout_seconds=converse_read_timeout_seconds)

    def _members(self, question: Question) -> dict[str, Any]:
        return {
            "modelId": self.target.model_id,
            "messages": [{"role": "user", "content": [{"text": question.prompt}]}],
            "system": [{"text": question.system}] if question.system else None,
            "inferenceConfig": {
                "maxTokens": self.inference.max_tokens,
                "temperature": self.inference.temperature,
            },
        }

    def _answer(self, text: str, told: dict[str, Any], seconds: float) -> Answer:
        usage = told.get("usage") or {}
        read, written = int(usage.get("inputTokens", 0)), int(usage.get("outputTokens", 0))
        return Answer(
            text=text,
            input_tokens=read,
            output_tokens=written,
            seconds=round(seconds, 4),
            server_ms=(told.get("metrics") or {}).get("latencyMs"),
            stop_reason=str(told.get("stopReason", "")),
            usd=self.target.price_usd(read, written),
        )
