"""Base classes of teachers over HTTP. A new teacher is one file: a spec, `path`, `body` and `read`, and the
meaning of its server's headers and failures.

    HttpTeacher     posts one JSON body per answer; its spec is an HttpSpec
    ChatTeacher     the same for a chat service with max_tokens and sampling; its spec is a ChatSpec
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Annotated, ClassVar, Generic, Self, TypeVar, cast

import msgspec
from pydantic import Field

from polytune.asking.failures import Failure, FailureKind
from polytune.asking.http import HttpConnection, Received, Timeouts, is_local
from polytune.asking.limits import RateLimits
from polytune.asking.reply import Reply, Tokens
from polytune.engine.budget import Cost
from polytune.errors import Obstacle
from polytune.fingerprint import Json
from polytune.settings import Settings, number_above_zero
from polytune.spec.model import FieldProblem, JsonObject, Secret
from polytune.teachers._replies import PriceSpec, ReplyTeacher, cut_off, framing_tokens, unknown_price
from polytune.teachers.interface import FREE, Price, Request, TeacherSpec

json_encoder = msgspec.json.Encoder()


class HttpSpec(TeacherSpec):
    """Asks a model on a server."""

    model: str
    """The model's name on that server."""
    url: str
    """The server's URL."""
    api_key: Secret | None
    """A reference to the API key; without it, no key is sent."""


class ChatSpec(HttpSpec):
    """Asks a chat service."""

    own_keys: ClassVar[tuple[str, ...]]
    """Keys of the request body that must not appear in `parameters`."""
    max_tokens: Annotated[int, Field(ge=1)] = 2048
    """The maximum length of an answer in tokens; answers cut off there are not used."""
    temperature: float | None = None
    """The sampling temperature. Default: the server's own."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """The nucleus sampling threshold. Default: the server's own."""
    parameters: JsonObject = {}
    """Additional fields of the request body, under the server's names."""
    price: PriceSpec | None = None
    """The price; a server on this machine is free. Stored answers stay valid when it changes."""

    def problems(self) -> list[FieldProblem]:
        """Problems of `parameters` that polytune sets itself or that have their own field."""
        taken = [key for key in self.parameters if key in self.own_keys]
        return [
            FieldProblem(f"parameters.{key}", "is set by polytune, or has its own field") for key in taken
        ]

    def sampling(self) -> JsonObject:
        """The sampling fields of a body whose names are the same for every service, and `parameters`."""
        chosen = {"temperature": self.temperature, "top_p": self.top_p}
        return {name: value for name, value in chosen.items() if value is not None} | self.parameters


H = TypeVar("H", bound=HttpSpec)
C = TypeVar("C", bound=ChatSpec)


class HttpTeacher(ReplyTeacher, Generic[H]):
    """Posts one JSON body per answer."""

    path: ClassVar[str]
    """The path appended to the server's URL."""

    def __init__(self, spec: TeacherSpec, files: Mapping[str, Path], settings: Settings) -> None:
        super().__init__(spec, files, settings)
        assert isinstance(spec, self.Spec)
        self.spec = cast(H, spec)
        self._connection: HttpConnection | None = None

    # defined by each teacher

    @property
    @abstractmethod
    def longest_answer(self) -> int:
        """The maximum length of an answer in tokens."""

    @abstractmethod
    def body(self, request: Request, draw: int) -> JsonObject:
        """The request body. That of draw 0 identifies the answers: a new member of it asks for all again."""

    def headers(self) -> dict[str, str]:
        """The authentication headers: a bearer token, if there is a key."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def limits(self, received: Received) -> RateLimits | None:
        """The limits per minute stated in the reply's headers; None when there are none."""
        return None

    def known(self, failure: Failure) -> Failure:
        """The failure with its kind corrected according to its body."""
        return failure

    def refuse(self, body: bytes) -> None:
        """Raises Failure when a body with status 200 is an error message; any other body is stored."""

    # derived

    @property
    def label(self) -> str:
        """The model's name."""
        return self.spec.model

    @property
    def server(self) -> str:
        """The server's URL from the spec."""
        return self.spec.url.rstrip("/")

    @property
    def url(self) -> str:
        """The URL that questions are posted to."""
        return f"{self.server}{self.path}"

    def sent(self, request: Request) -> Json:
        """The URL that the spec states, and the body."""
        return {"url": self.stated_url, "body": self.body(request, 0)}

    @property
    def stated_url(self) -> str:
        """The URL of the server that the spec names, also while a stand-in on this machine answers for it."""
        return self.url

    def endpoint(self) -> str:
        """The server and the model."""
        return f"{self.server} {self.spec.model}"

    async def __aenter__(self) -> Self:
        environment = self.settings.environment
        attempt = number_above_zero(environment, "POLYTUNE_ATTEMPT_SECONDS")
        # Slow local servers need longer than the default; the variable is not part of any cache key.
        timeouts = Timeouts() if attempt is None else Timeouts(attempt=attempt)
        self._connection = HttpConnection(self.url, self.headers(), environment, timeouts)
        await self._connection.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            await self._connection.__aexit__(kind, error, trace)

    @property
    def rehearses(self) -> bool:
        """Whether the server is on this machine; any other one may charge."""
        return is_local(self.url)

    def at_most(self, request: Request) -> Cost:
        """The cost if every input byte were a token and the answer had the maximum length."""
        read = self.most_input(request) + framing_tokens
        return Cost(usd=self.cost(read, self.longest_answer), tokens=read + self.longest_answer)

    def most_input(self, request: Request) -> int:
        """The maximum number of input tokens, without those of the chat template."""
        return request.bytes

    async def reply(self, request: Request, draw: int) -> Reply:
        """Return the reply as received, with its cost. Raises Failure."""
        assert self._connection is not None, "the teacher is open"
        try:
            received = await self._connection.post(json_encoder.encode(self.body(request, draw)))
        except Failure as failure:
            raise self._with_remedy(self.known(failure)) from failure
        found = self.read(received.body)
        # A body that is neither an answer nor a known error was billed all the same: keep it for later.
        if found is None:
            self.refuse(received.body)
        usage = self.usage_of(request, found)
        # The server's own figure comes first: OpenRouter, for example, charges by the provider it chose.
        stated = found.price_usd if found is not None else None
        price = self.cost(usage.input_tokens, usage.output_tokens) if stated is None else stated
        tokens = Tokens(usage.input_tokens, usage.output_tokens)
        return Reply(received.body, tokens, price, self.limits(received))

    def _with_remedy(self, failure: Failure) -> Failure:
        if failure.kind is not FailureKind.DENIED:
            return failure
        reference = self.spec.api_key
        hint = f"check the key in {secret_name(reference)}" if reference else "set teacher.api_key"
        return failure.as_kind(FailureKind.DENIED, hint)

    @property
    def key(self) -> str:
        """The key; '' when there is none."""
        reference = self.spec.api_key
        return self.settings.environment.get(secret_name(reference), "") if reference else ""

    def missing(self) -> Obstacle | None:
        """That a key is needed and the environment does not have it."""
        reference = self.spec.api_key
        if not reference or self.key or is_local(self.url):
            return None
        remedy = f"Set {secret_name(reference)} in the environment or in .env"
        return Obstacle(f"{self.label} needs a key", remedy, "teacher")


class ChatTeacher(HttpTeacher[C], Generic[C]):
    """Asks a chat service, with max_tokens and price from the spec."""

    @property
    def longest_answer(self) -> int:
        """The spec's `max_tokens`."""
        return self.spec.max_tokens

    @property
    def cut_off(self) -> str:
        """The flaw of an answer that reached `max_tokens`."""
        return cut_off(self.spec.max_tokens)

    def price(self) -> Price:
        """The price stated in the spec; else free on this machine, and unknown anywhere else."""
        if self.spec.price is not None:
            return self.spec.price.price()
        return (
            FREE
            if is_local(self.url)
            else unknown_price(f"set teacher.price to know what {self.label} costs")
        )


def secret_name(reference: str) -> str:
    """NAME of `${secret:NAME}`."""
    return reference.removeprefix("${secret:").removesuffix("}")


def number_of(header: str | None) -> float | None:
    """The number in a header; None for anything else."""
    try:
        return float(header) if header else None
    except ValueError:
        return None
