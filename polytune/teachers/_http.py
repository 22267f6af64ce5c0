"""What teachers over HTTP share. A new one is one file: a spec, `path`, `body` and `read`, and what its
server says in headers and failures.

    HttpTeacher     posts one JSON body for each answer; its spec is an HttpSpec
    ChatTeacher     the same for a chat service whose answers are limited and sampled; its spec is a ChatSpec
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
    """The server."""
    api_key: Secret | None
    """Where the key is found; none is sent without it."""


class ChatSpec(HttpSpec):
    """Asks a chat service."""

    own_keys: ClassVar[tuple[str, ...]]
    """Keys of the request's body that are no `parameters`."""
    max_tokens: Annotated[int, Field(ge=1)] = 2048
    """The longest answer; an answer cut off there is not used."""
    temperature: float | None = None
    """The server's own when not stated."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """The server's own when not stated."""
    parameters: JsonObject = {}
    """More fields of the request's body, as the server names them."""
    price: PriceSpec | None = None
    """What it charges; a server on this machine is free. Changing it asks nothing again."""

    def problems(self) -> list[FieldProblem]:
        """Parameters that have a field of their own belong there."""
        taken = [key for key in self.parameters if key in self.own_keys]
        return [
            FieldProblem(f"parameters.{key}", "is set by polytune, or has its own field") for key in taken
        ]

    def sampling(self) -> JsonObject:
        """The members of a body that are stated here under the names that every service gives them."""
        chosen = {"temperature": self.temperature, "top_p": self.top_p}
        return {name: value for name, value in chosen.items() if value is not None} | self.parameters


H = TypeVar("H", bound=HttpSpec)
C = TypeVar("C", bound=ChatSpec)


class HttpTeacher(ReplyTeacher, Generic[H]):
    """Posts one JSON body for each answer."""

    path: ClassVar[str]
    """What is put behind the server's address."""

    def __init__(self, spec: TeacherSpec, files: Mapping[str, Path], settings: Settings) -> None:
        super().__init__(spec, files, settings)
        assert isinstance(spec, self.Spec)
        self.spec = cast(H, spec)
        self._connection: HttpConnection | None = None

    # what a member states

    @property
    @abstractmethod
    def longest_answer(self) -> int:
        """Tokens that an answer can have."""

    @abstractmethod
    def body(self, request: Request, draw: int) -> bytes:
        """What is posted."""

    def headers(self) -> dict[str, str]:
        """Who asks: a bearer token, if there is a key."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def limits(self, received: Received) -> RateLimits | None:
        """What the reply's headers say is allowed a minute."""
        return None

    def known(self, failure: Failure) -> Failure:
        """The failure, with its kind corrected by what its message says."""
        return failure

    def refuse(self, body: bytes) -> None:
        """Raises Failure when a body with status 200 that is no answer says why; else it is stored."""

    # what follows from it

    @property
    def label(self) -> str:
        """The model's name."""
        return self.spec.model

    @property
    def server(self) -> str:
        """The address that the spec states."""
        return self.spec.url.rstrip("/")

    @property
    def url(self) -> str:
        """Where answers are asked for."""
        return f"{self.server}{self.path}"

    def endpoint(self) -> str:
        """The server and the model."""
        return f"{self.server} {self.spec.model}"

    async def __aenter__(self) -> Self:
        environment = self.settings.environment
        attempt = number_above_zero(environment, "POLYTUNE_ATTEMPT_SECONDS")
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
        """A server on this machine may be asked; any other one may charge."""
        return is_local(self.url)

    def at_most(self, request: Request) -> Cost:
        """Every byte a token, and the longest answer."""
        read = self.most_input(request) + framing_tokens
        return Cost(usd=self.cost(read, self.longest_answer), tokens=read + self.longest_answer)

    def most_input(self, request: Request) -> int:
        """Tokens that the teacher reads at most, but for what frames them."""
        return request.bytes

    async def reply(self, request: Request, draw: int) -> Reply:
        """The body as it came. Raises Failure."""
        assert self._connection is not None, "the teacher is open"
        try:
            received = await self._connection.post(self.body(request, draw))
        except Failure as failure:
            raise self._with_remedy(self.known(failure)) from failure
        found = self.read(received.body)
        if found is None:
            self.refuse(received.body)
        usage = self.usage_of(request, found)
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
        """The key itself; '' when there is none."""
        reference = self.spec.api_key
        return self.settings.environment.get(secret_name(reference), "") if reference else ""

    def missing(self) -> str:
        """The key, when one is needed and the environment does not have it."""
        reference = self.spec.api_key
        if not reference or self.key or is_local(self.url):
            return ""
        return f"{self.label} needs a key: set {secret_name(reference)} in the environment or in .env"


class ChatTeacher(HttpTeacher[C], Generic[C]):
    """Asks a chat service: the limits and the price of an answer are those of the spec."""

    not_asked: ClassVar[frozenset[str]] = frozenset({"price"})

    @property
    def longest_answer(self) -> int:
        """As the spec limits it."""
        return self.spec.max_tokens

    @property
    def cut_off(self) -> str:
        """The flaw of an answer that reached that limit."""
        return cut_off(self.spec.max_tokens)

    def price(self) -> Price:
        """As stated; else nothing on this machine, and unknown anywhere else."""
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
