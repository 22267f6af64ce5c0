"""Any server with OpenAI's chat completions API: OpenAI, vLLM, Ollama, LM Studio, llama.cpp, LiteLLM,
OpenRouter.

    teacher: {kind: openai_compatible, url: http://localhost:11434/v1, model: qwen3:8b}
    teacher: {kind: openai_compatible, model: gpt-5-mini, api_key: "${secret:OPENAI_API_KEY}",
              token_limit_key: max_completion_tokens, price: {...}}
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from pydantic import Field

from polytune.asking.failures import Failure, FailureKind, kind_of_status
from polytune.asking.http import Received
from polytune.asking.limits import RateLimits
from polytune.spec.model import JsonObject, Secret
from polytune.teachers._http import ChatSpec, ChatTeacher, number_of
from polytune.teachers._replies import ParsedReply, decoded
from polytune.teachers.interface import Request, TeacherSpec, TokenUsage

quota_words = (b"insufficient_quota", b"billing_hard_limit")
"""Error codes for "no credit left", which OpenAI sends with the same status as a rate limit."""


class OpenaiCompatibleSpec(ChatSpec):
    """Asks a server with OpenAI's chat completions API."""

    own_keys: ClassVar = (
        *("model", "messages", "max_tokens", "max_completion_tokens"),
        *("temperature", "top_p", "seed", "stream"),
    )
    model: Annotated[str, Field(min_length=1)]
    """The model's name on that server."""
    url: Annotated[str, Field(pattern=r"^https?://[^?#]+$")] = "https://api.openai.com/v1"
    """The server's URL including `/v1`, to which `/chat/completions` is appended."""
    api_key: Secret | None = None
    """A reference to the API key: `${secret:OPENAI_API_KEY}`. Most local servers need none."""
    token_limit_key: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The server's name for `max_tokens`; OpenAI's reasoning models require `max_completion_tokens`."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """The sampling temperature. Default: the server's own."""
    seed: Annotated[int, Field(ge=0)] | None = None
    """The sampling seed, for servers that support one. Draw n of a request is sent with this seed plus n."""


class ChatPart(msgspec.Struct, frozen=True):
    """One part of an answer that is a list of parts."""

    text: str = ""


class ChatMessage(msgspec.Struct, frozen=True):
    """The model's message."""

    content: str | list[ChatPart] | None = None
    refusal: str | None = None


class ChatChoice(msgspec.Struct, frozen=True):
    """One answer; only the first choice is read."""

    message: ChatMessage
    finish_reason: str | None = None


class ChatUsage(msgspec.Struct, frozen=True):
    """Token counts, and the cost in US dollars that OpenRouter reports."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None


class ChatCompletion(msgspec.Struct, frozen=True):
    """The members of a reply that are read."""

    choices: list[ChatChoice]
    usage: ChatUsage | None = None


class ChatError(msgspec.Struct, frozen=True):
    """A server's error message."""

    message: str = ""
    code: str | int | None = None
    type: str | None = None


class ChatErrorReply(msgspec.Struct, frozen=True):
    """The body that contains an error."""

    error: ChatError


_completion = msgspec.json.Decoder(ChatCompletion)
_error = msgspec.json.Decoder(ChatErrorReply)


class OpenaiCompatible(ChatTeacher[OpenaiCompatibleSpec]):
    """One chat completion per answer."""

    Spec: ClassVar[type[TeacherSpec]] = OpenaiCompatibleSpec
    path = "/chat/completions"

    def body(self, request: Request, draw: int) -> JsonObject:
        """A chat with the system prompt, the prompt, and two more turns per repair."""
        messages = [{"role": "system", "content": request.system}] if request.system else []
        messages.append({"role": "user", "content": request.prompt})
        for repair in request.repairs:
            messages.append({"role": "assistant", "content": repair.answer})
            messages.append({"role": "user", "content": repair.error})
        # One fixed seed would give the same answer for every draw.
        seed = {} if self.spec.seed is None else {"seed": self.spec.seed + draw}
        fixed: JsonObject = {"model": self.spec.model, self.spec.token_limit_key: self.spec.max_tokens}
        fixed |= self.spec.sampling()
        return {**fixed, **seed, "messages": messages}

    def read(self, body: bytes) -> ParsedReply | None:
        """The first choice's text."""
        found = decoded(_completion, body)
        if found is None:
            return None
        if not found.choices:
            return ParsedReply("", _usage(found.usage), "the server returned no choices")
        choice = found.choices[0]
        price = found.usage.cost if found.usage is not None else None
        return ParsedReply(_text(choice.message), _usage(found.usage), self._flaw(choice), price)

    def refuse(self, body: bytes) -> None:
        """Raises Failure for errors that OpenRouter and gateways send with status 200."""
        found = decoded(_error, body)
        if found is not None:
            # A code that is not an HTTP status counts as a broken gateway.
            error = found.error
            status = error.code if isinstance(error.code, int) else 502
            kind = kind_of_status(status) if status >= 300 else FailureKind.BROKEN
            raise Failure(
                kind, f"{self.url} answered 200 with error {error.code}: {error.message}", status=status
            )

    def limits(self, received: Received) -> RateLimits | None:
        """The limits in OpenAI's headers, which most other servers have copied."""
        headers = received.headers
        if "x-ratelimit-limit-requests" not in headers and "x-ratelimit-limit-tokens" not in headers:
            return None
        return RateLimits(
            requests=number_of(headers.get("x-ratelimit-limit-requests")),
            tokens=number_of(headers.get("x-ratelimit-limit-tokens")),
        )

    def _flaw(self, choice: ChatChoice) -> str:
        if choice.finish_reason == "length":
            return self.cut_off
        if choice.finish_reason == "content_filter":
            return "the server's content filter stopped the answer"
        return f"the model refused: {choice.message.refusal}" if choice.message.refusal else ""

    def known(self, failure: Failure) -> Failure:
        """The failure with its kind corrected: no quota left, or no such model."""
        if failure.status == 429 and any(word in failure.body for word in quota_words):
            return failure.as_kind(FailureKind.QUOTA)
        # Some servers report an unknown model with status 400, which would drop one question after the other.
        if failure.status == 404 or b"model_not_found" in failure.body:
            hint = f"{self.server}/models lists the available models"
            return failure.as_kind(FailureKind.MISTAKEN, hint)
        return failure


def _text(message: ChatMessage) -> str:
    if isinstance(message.content, list):
        return "".join(part.text for part in message.content)
    return message.content or ""


def _usage(usage: ChatUsage | None) -> TokenUsage | None:
    # Some local servers report one of the two counts or none: then both are estimated.
    if usage is None or usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    return TokenUsage(
        input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens, estimated=False
    )
