"""A paid answer as it came: unparsed bytes, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from polytune.asking.limits import RateLimits


@dataclass(frozen=True, slots=True)
class Tokens:
    """Of one answer, or of many."""

    read: int = 0
    written: int = 0

    @property
    def all(self) -> int:
        """In and out together."""
        return self.read + self.written


@dataclass(frozen=True, slots=True)
class Reply:
    """One paid answer, or those of a batch that was asked as one question."""

    body: bytes
    """As it came; b'' for a batch."""
    tokens: Tokens
    price_usd: float | None = 0.0
    """None when no price is known."""
    limits: RateLimits | None = None
    """What the endpoint said it allows a minute."""
    parts: tuple[Reply, ...] = ()
    """Of a batch: the reply to each of its questions, stored as draws 0, 1, ... of the batch's request."""

    @classmethod
    def of_batch(cls, parts: Sequence[Reply]) -> Reply:
        """Several replies as one: tokens and prices are added; a sum with an unknown price is unknown."""
        prices = [part.price_usd for part in parts if part.price_usd is not None]
        return cls(
            body=b"",
            tokens=Tokens(
                sum(each.tokens.read for each in parts), sum(each.tokens.written for each in parts)
            ),
            price_usd=sum(prices) if len(prices) == len(parts) else None,
            parts=tuple(parts),
        )
