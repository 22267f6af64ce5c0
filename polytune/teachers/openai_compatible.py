"""Any server that speaks OpenAI's chat completions: OpenAI, vLLM, Ollama, LM Studio, llama.cpp, LiteLLM,
OpenRouter.

    teacher: {kind: openai_compatible, url: http://localhost:11434/v1, model: qwen3:8b}
    teacher: {kind: openai_compatible, model: gpt-5-mini, api_key: "${secret:OPENAI_API_KEY}",
              token_limit_key: max_completion_tokens, price: {...}}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec
from pydantic import Field

from polytune.asking.failures import Failure, FailureKind, kind_of_status
from polytune.asking.http import Received
from polytune.asking.limits import Limits
from polytune.settings import Settings
from polytune.spec.model import FieldProblem, JsonObject, Secret
from polytune.teachers._http import HttpTeacher, PriceSpec, Read, number_of
from polytune.teachers.interface import Price, Request, TeacherSpec, Usage

own_keys = (
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "seed",
    "stream",
)

quota_words = (b"insufficient_quota", b"billing_hard_limit")


class OpenaiCompatibleSpec(TeacherSpec):
    """Asks a server that offers OpenAI's chat completions."""

    model: Annotated[str, Field(min_length=1)]
    """The model's name on that server."""
    url: Annotated[str, Field(pattern=r"^https?://[^?#]+$")] = "https://api.openai.com/v1"
    """The server, up to and with `/v1`; `/chat/completions` is put behind it."""
    api_key: Secret | None = None
    """Where the key is found: `${secret:OPENAI_API_KEY}`. Most local servers need none."""
    max_tokens: Annotated[int, Field(ge=1)] = 2048
    """The longest answer; an answer cut off there is not used."""
    token_limit_key: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the server calls that limit; OpenAI's reasoning models want `max_completion_tokens`."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """The server's own when not stated."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """The server's own when not stated."""
    seed: Annotated[int, Field(ge=0)] | None = None
    """For servers that take one: the nth answer to one request is asked for with this number plus n."""
    parameters: JsonObject = {}
    """More fields of the request's body, as the server names them."""
    price: PriceSpec | None = None
    """What it charges; a server on this machine is free. Changing it asks nothing again."""

    def problems(self) -> list[FieldProblem]:
        """Parameters that have a field of their own belong there."""
        taken = [key for key in self.parameters if key in own_keys]
        return [
            FieldProblem(f"parameters.{key}", "is stated beside `parameters`, or not at all") for key in taken
        ]


class _Part(msgspec.Struct, frozen=True):
    text: str = ""


class _Message(msgspec.Struct, frozen=True):
    content: str | list[_Part] | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    message: _Message
    finish_reason: str | None = None


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None


class _Completion(msgspec.Struct, frozen=True):
    choices: list[_Choice]
    usage: _Usage | None = None


class _Error(msgspec.Struct, frozen=True):
    message: str = ""
    code: str | int | None = None
    type: str | None = None


class _Refusal(msgspec.Struct, frozen=True):
    error: _Error


_completion = msgspec.json.Decoder(_Completion)
_encoder = msgspec.json.Encoder()


class OpenaiCompatible(HttpTeacher):
    """One chat completion for each answer."""

    Spec: ClassVar[type[TeacherSpec]] = OpenaiCompatibleSpec

    def __init__(self, spec: TeacherSpec, files: Mapping[str, Path], settings: Settings) -> None:
        super().__init__(spec, files, settings)
        assert isinstance(spec, OpenaiCompatibleSpec)
        self.spec = spec
        self._fixed = _fixed(spec)

    @property
    def label(self) -> str:
        """The model's name."""
        return self.spec.model

    @property
    def url(self) -> str:
        """The address of chat completions."""
        return f"{self.spec.url.rstrip('/')}/chat/completions"

    @property
    def longest_answer(self) -> int:
        """As the spec limits it."""
        return self.spec.max_tokens

    def endpoint(self) -> str:
        """The server and the model."""
        return f"{self.spec.url.rstrip('/')} {self.spec.model}"

    def price(self) -> Price:
        """As stated; free on this machine."""
        return self.stated_price(self.spec.price)

    @property
    def key_reference(self) -> str | None:
        """As stated."""
        return self.spec.api_key

    def headers(self) -> dict[str, str]:
        """A bearer token, if there is a key."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def body(self, request: Request, draw: int) -> bytes:
        """A chat with the system prompt, the prompt, and every repair as two more turns."""
        messages = [{"role": "system", "content": request.system}] if request.system else []
        messages.append({"role": "user", "content": request.prompt})
        for repair in request.repairs:
            messages.append({"role": "assistant", "content": repair.answer})
            messages.append({"role": "user", "content": repair.error})
        seed = {} if self.spec.seed is None else {"seed": self.spec.seed + draw}
        return _encoder.encode({**self._fixed, **seed, "messages": messages})

    def read(self, body: bytes) -> Read | None:
        """The first choice's text."""
        try:
            found = _completion.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        if not found.choices:
            return Read("", _usage(found.usage), "the server answered without a choice")
        choice = found.choices[0]
        price = found.usage.cost if found.usage is not None else None
        return Read(_text(choice.message), _usage(found.usage), self._flaw(choice), price)

    def refuse(self, body: bytes) -> None:
        """Raises Failure for the errors that OpenRouter and gateways answer with status 200."""
        error = _error(body)
        if error is not None:
            status = error.code if isinstance(error.code, int) else 502
            kind = kind_of_status(status) if status >= 300 else FailureKind.BROKEN
            raise Failure(
                kind, f"{self.url} answered 200 with error {error.code}: {error.message}", status=status
            )

    def limits(self, received: Received) -> Limits | None:
        """OpenAI's headers, which most others copied."""
        headers = received.headers
        if "x-ratelimit-limit-requests" not in headers and "x-ratelimit-limit-tokens" not in headers:
            return None
        return Limits(
            requests=number_of(headers.get("x-ratelimit-limit-requests")),
            tokens=number_of(headers.get("x-ratelimit-limit-tokens")),
        )

    def _flaw(self, choice: _Choice) -> str:
        if choice.finish_reason == "length":
            return f"the answer is cut off at {self.spec.max_tokens} tokens; raise teacher.max_tokens"
        if choice.finish_reason == "content_filter":
            return "the server's content filter stopped the answer"
        return f"the model refused: {choice.message.refusal}" if choice.message.refusal else ""

    def known(self, failure: Failure) -> Failure:
        """The failure with what its body says: no quota left, or no such model."""
        if failure.status == 429 and any(word in failure.body for word in quota_words):
            return failure.as_kind(FailureKind.QUOTA)
        if failure.status == 404 or b"model_not_found" in failure.body:
            hint = f"see {self.spec.url.rstrip('/')}/models for the models there"
            return failure.as_kind(FailureKind.MISTAKEN, hint)
        return failure


def _fixed(spec: OpenaiCompatibleSpec) -> JsonObject:
    """The part of the body that is the same for every request."""
    chosen = {"temperature": spec.temperature, "top_p": spec.top_p}
    stated = {name: value for name, value in chosen.items() if value is not None}
    return {"model": spec.model, spec.token_limit_key: spec.max_tokens, **stated, **spec.parameters}


def _text(message: _Message) -> str:
    if isinstance(message.content, list):
        return "".join(part.text for part in message.content)
    return message.content or ""


def _usage(usage: _Usage | None) -> Usage | None:
    if usage is None or usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    return Usage(input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens, estimated=False)


def _error(body: bytes) -> _Error | None:
    try:
        return msgspec.json.decode(body, type=_Refusal).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
