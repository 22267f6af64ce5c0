"""bedrock-runtime: Converse, ConverseStream, InvokeModel, InvokeModelWithResponseStream, CountTokens.

The answers are synthetic (see `completions.py`); the rules for conversations, the errors and the limits are
the service's. To break a stream halfway with an exception event, script a job fault for the operation
BrokenStream: {"kind": "internal_error", "operation": "BrokenStream", "times": 1}.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from polytune.emulator.bedrock import bodies
from polytune.emulator.bedrock.behaviours import invoked
from polytune.emulator.bedrock.call import ApiCall, Area, EmulatedError, EventStream, Members
from polytune.emulator.bedrock.completions import Completion, EmulatedQuestion, Speaker
from polytune.emulator.bedrock.world import World

synthetic_ms_per_token = 10
"""Reported latency per output token, in milliseconds. No call really takes this long."""
minute = timedelta(minutes=1)
broken_stream = "BrokenStream"


class Runtime(Area):
    """Inference with every model of the account."""

    service = "bedrock-runtime"

    def __init__(self, world: World, requests_per_minute: Mapping[str, int] | None = None) -> None:
        """`requests_per_minute`: limits by `modelId` as sent, '*' for all others; in virtual minutes."""
        self._state = world.state
        self._faults = world.faults
        self._speaker = Speaker(world.objects)
        self._limits = requests_per_minute or {}
        self._calls: dict[str, deque[datetime]] = {}

    def converse(self, call: ApiCall) -> Members:
        """The whole answer."""
        said = self._converse(call)
        message = {"role": "assistant", "content": [{"text": said.text}]}
        answer: Members = {
            "output": {"message": message},
            "stopReason": said.ending,
            "usage": bodies.usage(said),
            "metrics": _metrics(said),
        }
        return answer | _trace(call)

    def converse_stream(self, call: ApiCall) -> EventStream:
        """The answer in pieces."""
        return self._streamed(list(_events(self._converse(call), _trace(call))))

    def invoke_model(self, call: ApiCall) -> Members:
        """The whole answer in the vendor's layout."""
        read = bodies.read(call.members.get("body", b""))
        said = self._said(call, read.question)
        body = bodies.encoded(bodies.written(read.layout, said))
        return {"body": body, "contentType": "application/json"}

    def invoke_model_with_response_stream(self, call: ApiCall) -> EventStream:
        """The answer in pieces, in the vendor's layout."""
        read = bodies.read(call.members.get("body", b""))
        pieces = bodies.chunks(read.layout, self._said(call, read.question))
        return self._streamed([("chunk", {"bytes": bodies.encoded(piece)}) for piece in pieces])

    def count_tokens(self, call: ApiCall) -> Members:
        """The estimated number of input tokens of a request; no inference takes place."""
        # Looked up only for its errors: an unknown model is refused here as well.
        invoked(self._state, call.text("modelId"), call.region, call.now)
        asked = call.members["input"]
        if "invokeModel" in asked:
            return {"inputTokens": bodies.read(asked["invokeModel"]["body"]).question.tokens}
        return {"inputTokens": bodies.converse(asked["converse"]).tokens}

    def _streamed(self, events: list[tuple[str, Members]]) -> EventStream:
        """The events; with a BrokenStream fault, half of them and an exception event."""
        # A job fault, so that it is matched here and not when the call arrives: the stream must start first.
        fault = self._faults.of_job(broken_stream)
        if fault is None:
            return EventStream(events)
        what = fault.message or "The system encountered an unexpected error during processing."
        return EventStream([*events[: len(events) // 2], ("internalServerException", {"message": what})])

    def _converse(self, call: ApiCall) -> Completion:
        return self._said(call, bodies.converse(call.members))

    def _said(self, call: ApiCall, question: EmulatedQuestion) -> Completion:
        # Check the model first: a call that is refused does not count against the rate limit.
        behaviour = invoked(self._state, call.text("modelId"), call.region, call.now)
        self._spend(call)
        return self._speaker.answer(behaviour, question)

    def _spend(self, call: ApiCall) -> None:
        """Counts the call against the model's rate limit. Raises EmulatedError if the limit is reached."""
        model = call.text("modelId")
        limit = self._limits.get(model, self._limits.get("*"))
        if limit is None:
            return
        recent = self._calls.setdefault(model, deque())
        while recent and recent[0] <= call.now - minute:
            recent.popleft()
        if len(recent) >= limit:
            message = "Too many requests, please wait before trying again."
            raise EmulatedError("ThrottlingException", message, 429)
        recent.append(call.now)


def _events(said: Completion, trace: Members) -> Iterator[tuple[str, Members]]:
    yield from bodies.events(said)
    yield "metadata", {"usage": bodies.usage(said), "metrics": _metrics(said), **trace}


def _metrics(said: Completion) -> Members:
    return {"latencyMs": said.output_tokens * synthetic_ms_per_token}


def _trace(call: ApiCall) -> Members:
    """The guardrail trace, if the caller requested one. It never reports a finding."""
    config = call.members.get("guardrailConfig", {})
    if config.get("trace") not in ("enabled", "enabled_full"):
        return {}
    applied = {
        "guardrailId": config.get("guardrailIdentifier", ""),
        "guardrailVersion": config.get("guardrailVersion", ""),
    }
    found = {config.get("guardrailIdentifier", ""): {"appliedGuardrailDetails": applied}}
    return {"trace": {"guardrail": {"actionReason": "No action.", "inputAssessment": found}}}
