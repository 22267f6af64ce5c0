"""A paid answer as it came: bytes that nobody has parsed yet, and what they took."""

from __future__ import annotations

from dataclasses import dataclass

from polytune.asking.limits import Limits


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
    """One paid answer."""

    body: bytes
    tokens: Tokens
    price_usd: float | None = 0.0
    """None when no price is known."""
    limits: Limits | None = None
    """What the endpoint said it allows a minute."""
