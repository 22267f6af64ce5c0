"""Anthropic's Messages API.

teacher: {kind: anthropic, model: claude-sonnet-4-5, price: {...}}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
from pydantic import Field

from polytune.asking.failures import Failure, FailureKind
from polytune.asking.http import Received
from polytune.asking.limits import Limits
from polytune.settings import Settings
from polytune.spec.model import FieldProblem, JsonObject, Secret
from polytune.teachers._http import HttpTeacher, PriceSpec, Read, number_of
from polytune.teachers.interface import Price, Request, TeacherSpec, Usage

api_version = "2023-06-01"
own_keys = ("model", "messages", "system", "max_tokens", "temperature", "top_p", "stream")


class AnthropicSpec(TeacherSpec):
    """Asks Anthropic's Messages API."""

    model: Annotated[str, Field(min_length=1)]
    """The model's id there."""
    url: Annotated[str, Field(pattern=r"^https?://[^?#]+$")] = "https://api.anthropic.com"
    """The server; `/v1/messages` is put behind it."""
    api_key: Secret = "${secret:ANTHROPIC_API_KEY}"
    """Where the key is found."""
    max_tokens: Annotated[int, Field(ge=1)] = 2048
    """The longest answer; an answer cut off there is not used."""
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    """The service's own when not stated."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """The service's own when not stated."""
    parameters: JsonObject = {}
    """More fields of the request's body, as the service names them."""
    price: PriceSpec | None = None
    """What it charges. Changing it asks nothing again."""

    def problems(self) -> list[FieldProblem]:
        """Parameters that have a field of their own belong there."""
        taken = [key for key in self.parameters if key in own_keys]
        return [
            FieldProblem(f"parameters.{key}", "is set by polytune or has a field of its own") for key in taken
        ]


class _Block(msgspec.Struct, frozen=True):
    type: str
    text: str = ""


class _Usage(msgspec.Struct, frozen=True):
    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class _Message(msgspec.Struct, frozen=True):
    content: list[_Block]
    usage: _Usage
    stop_reason: str | None = None


_message = msgspec.json.Decoder(_Message)
_encoder = msgspec.json.Encoder()


class Anthropic(HttpTeacher):
    """One message for each answer."""

    Spec: ClassVar[type[TeacherSpec]] = AnthropicSpec

    def __init__(self, spec: TeacherSpec, files: Mapping[str, Path], settings: Settings) -> None:
        super().__init__(spec, files, settings)
        assert isinstance(spec, AnthropicSpec)
        self.spec = spec
        chosen = {"temperature": spec.temperature, "top_p": spec.top_p}
        stated = {name: value for name, value in chosen.items() if value is not None}
        self._fixed = {"model": spec.model, "max_tokens": spec.max_tokens, **stated, **spec.parameters}

    @property
    def label(self) -> str:
        """The model's id."""
        return self.spec.model

    @property
    def url(self) -> str:
        """The address of messages."""
        return f"{self.spec.url.rstrip('/').removesuffix('/v1')}/v1/messages"

    @property
    def longest_answer(self) -> int:
        """As the spec limits it."""
        return self.spec.max_tokens

    def endpoint(self) -> str:
        """The server and the model."""
        return f"{self.spec.url.rstrip('/')} {self.spec.model}"

    def price(self) -> Price:
        """As stated."""
        return self.stated_price(self.spec.price)

    @property
    def key_reference(self) -> str | None:
        """As stated."""
        return self.spec.api_key

    def headers(self) -> dict[str, str]:
        """The key and the version of the API."""
        return {"x-api-key": self.key, "anthropic-version": api_version}

    def body(self, request: Request, draw: int) -> bytes:
        """The prompt, and every repair as two more turns."""
        messages = [{"role": "user", "content": request.prompt}]
        for repair in request.repairs:
            messages.append({"role": "assistant", "content": repair.answer.rstrip() or "(nothing)"})
            messages.append({"role": "user", "content": repair.error})
        system = {"system": request.system} if request.system else {}
        return _encoder.encode({**self._fixed, **system, "messages": messages})

    def read(self, body: bytes) -> Read | None:
        """The text blocks together."""
        try:
            found = _message.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        text = "".join(block.text for block in found.content if block.type == "text")
        flaw = {
            "max_tokens": f"the answer is cut off at {self.spec.max_tokens} tokens; raise teacher.max_tokens",
            "model_context_window_exceeded": "the answer is cut off where the model's context ends",
            "refusal": "the model refused",
        }
        usage = found.usage
        read = (
            usage.input_tokens
            + (usage.cache_creation_input_tokens or 0)
            + (usage.cache_read_input_tokens or 0)
        )
        counted = Usage(input_tokens=read, output_tokens=usage.output_tokens, estimated=False)
        return Read(text, counted, flaw.get(found.stop_reason or "", ""))

    def known(self, failure: Failure) -> Failure:
        """The failure with what its body says: no credit left, or no such model."""
        if b"credit balance is too low" in failure.body or b"billing_error" in failure.body:
            return failure.as_kind(FailureKind.QUOTA)
        if b"overloaded_error" in failure.body:
            return failure.as_kind(FailureKind.OVERLOADED)
        if failure.status == 404:
            return failure.as_kind(FailureKind.MISTAKEN, f"is '{self.spec.model}' a model's id there?")
        return failure

    def limits(self, received: Received) -> Limits | None:
        """Anthropic's own headers; input and output tokens are limited apart, here together."""
        headers = received.headers
        prefix = "anthropic-ratelimit"
        if f"{prefix}-requests-limit" not in headers:
            return None
        apart = [number_of(headers.get(f"{prefix}-{which}-tokens-limit")) for which in ("input", "output")]
        together = number_of(headers.get(f"{prefix}-tokens-limit"))
        tokens = together if None in apart else sum(filter(None, apart))
        return Limits(requests=number_of(headers.get(f"{prefix}-requests-limit")), tokens=tokens)
