"""Anthropic's Messages API.

teacher: {kind: anthropic, model: claude-sonnet-4-5, price: {...}}
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from pydantic import Field

from polytune.asking.failures import Failure, FailureKind
from polytune.asking.http import Received
from polytune.asking.limits import RateLimits
from polytune.spec.model import JsonObject, Secret
from polytune.teachers._http import ChatSpec, ChatTeacher, number_of
from polytune.teachers._replies import ParsedReply, decoded
from polytune.teachers.interface import Request, TeacherSpec, TokenUsage

api_version = "2023-06-01"


class AnthropicSpec(ChatSpec):
    """Asks Anthropic's Messages API."""

    own_keys: ClassVar = ("model", "messages", "system", "max_tokens", "temperature", "top_p", "stream")
    model: Annotated[str, Field(min_length=1)]
    """Anthropic's model id."""
    url: Annotated[str, Field(pattern=r"^https?://[^?#]+$")] = "https://api.anthropic.com"
    """The server's URL, to which `/v1/messages` is appended."""
    api_key: Secret = "${secret:ANTHROPIC_API_KEY}"
    """A reference to the API key."""
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    """The sampling temperature. Default: the server's own."""


class AnthropicBlock(msgspec.Struct, frozen=True):
    """A content block of an answer; only blocks of type `text` are read."""

    type: str
    text: str = ""


class AnthropicUsage(msgspec.Struct, frozen=True):
    """Token counts; tokens written to and read from the prompt cache are not part of `input_tokens`."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class AnthropicReply(msgspec.Struct, frozen=True):
    """The members of a reply that are read."""

    content: list[AnthropicBlock]
    usage: AnthropicUsage
    stop_reason: str | None = None


_reply = msgspec.json.Decoder(AnthropicReply)


class Anthropic(ChatTeacher[AnthropicSpec]):
    """One request to the Messages API per answer."""

    Spec: ClassVar[type[TeacherSpec]] = AnthropicSpec
    path = "/v1/messages"

    @property
    def url(self) -> str:
        """The URL of the Messages API, with or without /v1 at the end of the spec's `url`."""
        return self.server.removesuffix("/v1") + self.path

    def headers(self) -> dict[str, str]:
        """The key and the API version."""
        return {"x-api-key": self.key, "anthropic-version": api_version}

    def body(self, request: Request, draw: int) -> JsonObject:
        """The prompt, and two more turns per repair."""
        messages = [{"role": "user", "content": request.prompt}]
        for repair in request.repairs:
            # The API refuses messages with empty content.
            messages.append({"role": "assistant", "content": repair.answer.rstrip() or "(nothing)"})
            messages.append({"role": "user", "content": repair.error})
        system = {"system": request.system} if request.system else {}
        fixed = {"model": self.spec.model, "max_tokens": self.spec.max_tokens, **self.spec.sampling()}
        return {**fixed, **system, "messages": messages}

    def read(self, body: bytes) -> ParsedReply | None:
        """The joined text blocks."""
        found = decoded(_reply, body)
        if found is None:
            return None
        text = "".join(block.text for block in found.content if block.type == "text")
        flaws = {
            "max_tokens": self.cut_off,
            "model_context_window_exceeded": "the answer is cut off where the model's context ends",
            "refusal": "the model refused",
        }
        usage = found.usage
        # Cached tokens are priced as ordinary input: an upper bound for reads, a little low for cache writes.
        cached = (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
        counted = TokenUsage(
            input_tokens=usage.input_tokens + cached, output_tokens=usage.output_tokens, estimated=False
        )
        return ParsedReply(text, counted, flaws.get(found.stop_reason or "", ""))

    def known(self, failure: Failure) -> Failure:
        """The failure with its kind corrected: no credit left, overloaded, or no such model."""
        # No credit comes with status 400, which would drop one question after the other.
        if b"credit balance is too low" in failure.body or b"billing_error" in failure.body:
            return failure.as_kind(FailureKind.QUOTA)
        if b"overloaded_error" in failure.body:
            return failure.as_kind(FailureKind.OVERLOADED)
        if failure.status == 404:
            return failure.as_kind(
                FailureKind.MISTAKEN, f"check that '{self.spec.model}' is a valid model id"
            )
        return failure

    def limits(self, received: Received) -> RateLimits | None:
        """The limits in Anthropic's headers; its separate limits for input and output tokens are added."""
        headers = received.headers
        prefix = "anthropic-ratelimit"
        if f"{prefix}-requests-limit" not in headers:
            return None
        apart = [number_of(headers.get(f"{prefix}-{which}-tokens-limit")) for which in ("input", "output")]
        together = number_of(headers.get(f"{prefix}-tokens-limit"))
        tokens = together if None in apart else sum(filter(None, apart))
        return RateLimits(requests=number_of(headers.get(f"{prefix}-requests-limit")), tokens=tokens)
