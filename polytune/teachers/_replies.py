"""Base class of teachers that store their server's replies unchanged: parses them again, and prices them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar, Protocol, TypeVar

import msgspec
from pydantic import Field

from polytune.asking.reply import Reply
from polytune.errors import DataError
from polytune.spec.model import Spec
from polytune.teachers.interface import (
    Answer,
    Price,
    Request,
    Teacher,
    TokenUsage,
    characters_per_token,
    plain_answer,
)

framing_tokens = 64
"""An upper bound on the tokens that a chat template adds to a request."""
tokens_per_million = 1_000_000

T = TypeVar("T", covariant=True)


class PriceSpec(Spec):
    """A teacher's price, where polytune does not know it."""

    input_usd_per_million_tokens: Annotated[float, Field(ge=0)]
    """US dollars per million input tokens."""
    output_usd_per_million_tokens: Annotated[float, Field(ge=0)]
    """US dollars per million output tokens."""

    def price(self) -> Price:
        """The same as a `Price`."""
        return Price(
            input_usd_per_million_tokens=self.input_usd_per_million_tokens,
            output_usd_per_million_tokens=self.output_usd_per_million_tokens,
            source="stated in the experiment",
        )


def unknown_price(source: str) -> Price:
    """An unknown price; `source` says what to do about it."""
    return Price(input_usd_per_million_tokens=None, output_usd_per_million_tokens=None, source=source)


@dataclass(frozen=True)
class ParsedReply:
    """The content of a server's reply, independent of its format."""

    text: str
    usage: TokenUsage | None
    """None when the reply does not report it."""
    flaw: str = ""
    """Why the text is not a complete answer, such as being cut off; '' when it is one."""
    price_usd: float | None = None
    """The cost that the reply itself reports."""


def cut_off(max_tokens: int) -> str:
    """The flaw of an answer that reached its token limit."""
    return f"the answer is cut off at {max_tokens} tokens; raise teacher.max_tokens"


class JsonDecoder(Protocol[T]):
    """A msgspec decoder of one type."""

    def decode(self, buf: bytes, /) -> T:
        """Decode the value. Raises msgspec.DecodeError."""


def decoded(decoder: JsonDecoder[T], body: bytes) -> T | None:
    """The body as the decoder's type; None when it does not match."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class ReplyTeacher(Teacher):
    """A teacher that stores its server's replies unchanged, whether or not they are usable answers."""

    may_fail: ClassVar[bool] = True

    @abstractmethod
    def read(self, body: bytes) -> ParsedReply | None:
        """Parse a reply of this server; None when the body is not one."""

    @abstractmethod
    async def reply(self, request: Request, draw: int) -> Reply:
        """Return the server's reply unchanged, with its cost. Raises Failure when there is none."""

    async def answer(self, request: Request, draw: int) -> Answer:
        """Return an answer that is not stored. Raises Failure."""
        return self.parse((await self.reply(request, draw)).body, request)

    def parse(self, body: bytes, request: Request) -> Answer:
        """The answer in a stored body, which is the server's reply or a plain answer."""
        found = self.read(body)
        if found is None:
            plain = plain_answer(body)
            if plain is None:
                raise DataError(f"a stored answer of {self.label} cannot be read: {body[:200]!r}")
            return plain
        usage = self.usage_of(request, found)
        return Answer(
            text=found.text, usage=usage, price_usd=self.cost(usage.input_tokens, usage.output_tokens)
        )

    def flaw(self, body: bytes, request: Request, earlier: Collection[str]) -> str:
        """Why the body is not a usable answer; '' when it is one."""
        found = self.read(body)
        if found is not None and found.flaw:
            return found.flaw
        # Answers rebuilt from a samples file are stored as plain answers.
        answer = found or plain_answer(body)
        if answer is None:
            return "the reply is not in this API's format"
        if not answer.text.strip():
            return "the answer is empty"
        return "the answer is identical to that of an earlier draw" if answer.text in earlier else ""

    def usage_of(self, request: Request, found: ParsedReply | None) -> TokenUsage:
        """The reported usage, else an estimate by length."""
        if found is not None and found.usage is not None:
            return found.usage
        # An estimate, marked as such: 0 would make an answer without a report look free.
        text = found.text if found is not None else ""
        return TokenUsage(input_tokens=self.estimated_input(request), output_tokens=tokens_in(len(text)))

    def estimated_input(self, request: Request) -> int:
        """The number of input tokens, estimated by length."""
        return tokens_in(request.characters)

    def cost(self, read: int, written: int, share: float = 1.0) -> float | None:
        """US dollars for `read` and `written` tokens at a share of the price; None when it is unknown."""
        if self._usd_per_million is None:
            return None
        usd_read, usd_written = self._usd_per_million
        # Nine digits are a billionth of a dollar: enough for one token, without float noise in the records.
        return round(share * (read * usd_read + written * usd_written) / tokens_per_million, 9)

    @cached_property
    def _usd_per_million(self) -> tuple[float, float] | None:
        """The prices of input and output tokens; cached, because every answer needs them."""
        price = self.price()
        read, written = price.input_usd_per_million_tokens, price.output_usd_per_million_tokens
        return None if read is None or written is None else (read, written)


def tokens_in(characters: int) -> int:
    """The estimated number of tokens in a text of that length, rounded up."""
    return -(-characters // int(characters_per_token))
