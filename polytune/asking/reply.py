"""A paid reply as received: unparsed bytes and their cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from polytune.asking.limits import RateLimits


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token counts of one answer, or the sum of several."""

    read: int = 0
    written: int = 0

    @property
    def all(self) -> int:
        """Input and output together."""
        return self.read + self.written


@dataclass(frozen=True, slots=True)
class Reply:
    """One paid reply, or the replies of a batch that was sent as one question."""

    body: bytes
    """The body as received; b'' for a batch."""
    tokens: Tokens
    price_usd: float | None = 0.0
    """None when no price is known."""
    limits: RateLimits | None = None
    """The limits per minute that the endpoint reported."""
    parts: tuple[Reply, ...] = ()
    """For a batch: the reply to each question, stored as draws 0, 1, ... of the batch's request."""

    @classmethod
    def of_batch(cls, parts: Sequence[Reply]) -> Reply:
        """Combine several replies: tokens and prices are added; a sum with an unknown price is unknown."""
        prices = [part.price_usd for part in parts if part.price_usd is not None]
        return cls(
            body=b"",
            tokens=Tokens(
                sum(each.tokens.read for each in parts), sum(each.tokens.written for each in parts)
            ),
            price_usd=sum(prices) if len(prices) == len(parts) else None,
            parts=tuple(parts),
        )
