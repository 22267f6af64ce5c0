"""What teachers over HTTP share: one connection, a key, a price, and bodies that are stored as they came."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Annotated, ClassVar, Self

from pydantic import Field

from polytune.asking.failures import Failure, FailureKind
from polytune.asking.http import Line, Received, Timeouts, is_local
from polytune.asking.limits import Limits
from polytune.asking.reply import Reply, Tokens
from polytune.engine.budget import Cost
from polytune.errors import DataError
from polytune.settings import Settings, number_above_zero
from polytune.spec.model import Spec
from polytune.teachers.interface import (
    FREE,
    Answer,
    Price,
    Request,
    Teacher,
    TeacherSpec,
    Usage,
    characters_per_token,
    plain_answer,
)

framing_tokens = 64
"""What chat templates put around the texts of a request, at most."""


class PriceSpec(Spec):
    """What the teacher charges, where polytune does not know it."""

    input_usd_per_million_tokens: Annotated[float, Field(ge=0)]
    """For what it reads."""
    output_usd_per_million_tokens: Annotated[float, Field(ge=0)]
    """For what it writes."""


@dataclass(frozen=True)
class Read:
    """What a teacher's own body says, in our words."""

    text: str
    usage: Usage | None
    """None when the body does not tell."""
    flaw: str = ""
    """Why the text is no whole answer, such as being cut off; '' when it is one."""
    price_usd: float | None = None
    """What the body itself says it cost."""


class HttpTeacher(Teacher):
    """Posts one JSON body for each answer."""

    not_asked: ClassVar[frozenset[str]] = frozenset({"price"})
    may_fail: ClassVar[bool] = True

    def __init__(self, spec: TeacherSpec, files: Mapping[str, Path], settings: Settings) -> None:
        super().__init__(spec, files, settings)
        self._line: Line | None = None

    # what a member states

    @property
    @abstractmethod
    def url(self) -> str:
        """Where answers are asked for."""

    @property
    @abstractmethod
    def longest_answer(self) -> int:
        """Tokens that an answer can have."""

    @property
    @abstractmethod
    def key_reference(self) -> str | None:
        """The `${secret:NAME}` behind which the key is; None when no key is sent."""

    @abstractmethod
    def headers(self) -> dict[str, str]:
        """Who asks."""

    @abstractmethod
    def body(self, request: Request, draw: int) -> bytes:
        """What is posted."""

    @abstractmethod
    def read(self, body: bytes) -> Read | None:
        """What a body of this teacher says; None when it is no such body."""

    def limits(self, received: Received) -> Limits | None:
        """What the reply's headers say is allowed a minute."""
        return None

    def known(self, failure: Failure) -> Failure:
        """The failure, with its kind corrected by what its message says."""
        return failure

    def refuse(self, body: bytes) -> None:
        """Raises Failure when a body with status 200 that is no answer says why; else it is stored."""

    # what follows from it

    async def __aenter__(self) -> Self:
        environment = self.settings.environment
        attempt = number_above_zero(environment, "POLYTUNE_ATTEMPT_SECONDS")
        timeouts = Timeouts() if attempt is None else Timeouts(attempt=attempt)
        self._line = Line(self.url, self.headers(), environment, timeouts)
        await self._line.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._line is not None:
            await self._line.__aexit__(kind, error, trace)

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

    def cost(self, read: int, written: int) -> float | None:
        """US dollars for so many tokens; None when no price is known."""
        if self._prices is None:
            return None
        return round((read * self._prices[0] + written * self._prices[1]) / 1e6, 9)

    @cached_property
    def _prices(self) -> tuple[float, float] | None:
        """US dollars for a million tokens read and written."""
        price = self.price()
        if price.input_usd_per_million_tokens is None or price.output_usd_per_million_tokens is None:
            return None
        return price.input_usd_per_million_tokens, price.output_usd_per_million_tokens

    async def reply(self, request: Request, draw: int) -> Reply:
        """The body as it came. Raises Failure."""
        assert self._line is not None, "the teacher is open"
        try:
            received = await self._line.post(self.body(request, draw))
        except Failure as failure:
            raise self._told(self.known(failure)) from failure
        found = self.read(received.body)
        if found is None:
            self.refuse(received.body)
        usage = self._usage(request, found)
        stated = found.price_usd if found is not None else None
        price = self.cost(usage.input_tokens, usage.output_tokens) if stated is None else stated
        tokens = Tokens(usage.input_tokens, usage.output_tokens)
        return Reply(received.body, tokens, price, self.limits(received))

    def _told(self, failure: Failure) -> Failure:
        """The failure, with where its remedy lies."""
        if failure.kind is not FailureKind.DENIED:
            return failure
        reference = self.key_reference
        hint = f"is the key in {secret_name(reference)} right?" if reference else "state teacher.api_key"
        return failure.as_kind(FailureKind.DENIED, hint)

    async def answer(self, request: Request, draw: int) -> Answer:
        """An answer that is not stored. Raises Failure."""
        return self.parse((await self.reply(request, draw)).body, request)

    def parse(self, body: bytes, request: Request) -> Answer:
        """The answer in a stored body, this teacher's own or a plain one."""
        found = self.read(body)
        if found is None:
            plain = plain_answer(body)
            if plain is None:
                raise DataError(f"a stored answer of {self.label} cannot be read: {body[:200]!r}")
            return plain
        usage = self._usage(request, found)
        return Answer(
            text=found.text, usage=usage, price_usd=self.cost(usage.input_tokens, usage.output_tokens)
        )

    def flaw(self, body: bytes, request: Request, earlier: Collection[str]) -> str:
        """Why the body is no usable answer."""
        found = self.read(body)
        if found is not None and found.flaw:
            return found.flaw
        plain = plain_answer(body) if found is None else None
        answer = found or plain
        if answer is None:
            return "the reply is not what this API answers"
        if not answer.text.strip():
            return "the answer is empty"
        return "the answer is that of an earlier draw, letter for letter" if answer.text in earlier else ""

    def _usage(self, request: Request, found: Read | None) -> Usage:
        """As reported, else estimated."""
        if found is not None and found.usage is not None:
            return found.usage
        text = found.text if found is not None else ""
        return Usage(input_tokens=self.estimated_input(request), output_tokens=_tokens(len(text)))

    def estimated_input(self, request: Request) -> int:
        """Tokens that the teacher reads, by length."""
        return _tokens(request.characters)

    def stated_price(self, stated: PriceSpec | None) -> Price:
        """What the spec says, else nothing on this machine, else unknown."""
        if stated is not None:
            return Price(
                input_usd_per_million_tokens=stated.input_usd_per_million_tokens,
                output_usd_per_million_tokens=stated.output_usd_per_million_tokens,
                source="stated in the experiment",
            )
        if is_local(self.url):
            return FREE
        return Price(
            input_usd_per_million_tokens=None,
            output_usd_per_million_tokens=None,
            source=f"state teacher.price to know what {self.label} costs",
        )

    @property
    def key(self) -> str:
        """The key itself; '' when there is none."""
        reference = self.key_reference
        return self.settings.environment.get(secret_name(reference), "") if reference else ""

    def missing(self) -> str:
        """The key, when one is needed and the environment does not have it."""
        reference = self.key_reference
        if not reference or self.key or is_local(self.url):
            return ""
        return f"{self.label} needs a key: set {secret_name(reference)} in the environment or in .env"


def secret_name(reference: str) -> str:
    """NAME of `${secret:NAME}`."""
    return reference.removeprefix("${secret:").removesuffix("}")


def number_of(header: str | None) -> float | None:
    """The number in a header; None for anything else."""
    try:
        return float(header) if header else None
    except ValueError:
        return None


def _tokens(characters: int) -> int:
    return -(-characters // int(characters_per_token))
