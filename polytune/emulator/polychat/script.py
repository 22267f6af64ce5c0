"""Scripted faults of the Polychat stand-in: which requests go wrong, and how. Nothing is random.

[{"kind": "rate_limit", "times": 3},                    the next three requests
 {"kind": "unavailable", "every": 50, "times": null},   each 50th request, for good
 {"kind": "prose", "skip": 10, "times": 1},             the eleventh
 {"kind": "slow", "seconds": 5, "containing": "jazz"}]  the next one whose body has that text
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

import msgspec

from polytune.emulator.polychat.replies import Reply
from polytune.errors import UsageError

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]

Refusal = Literal[
    "rate_limit",
    "usage_limit",
    "unavailable",
    "too_large",
    "forbidden",
    "unauthorized",
    "configuration",
    "unexpected",
]
Transport = Literal["reset", "dropped", "cut", "slow"]
"""Closed before any work; the work done and then closed; half an answer and then closed; late."""


class PolychatFault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One line of the script."""

    kind: Refusal | Transport | Reply | Literal["code", "repeat"]
    """`code` answers `text`; `repeat` answers the code of the answer before."""
    times: Count | None = 1
    """How many requests it hits; null hits for good."""
    skip: Count = 0
    """How many matching requests pass first."""
    every: Annotated[int, msgspec.Meta(ge=1)] = 1
    """Hits each nth matching request."""
    containing: str = ""
    """Matches bodies that hold this text; '' matches all."""
    seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """How late a `slow` answer is."""
    text: str = ""
    """The message of a refusal, or the code of `code`."""


class Script:
    """The faults still to come, in order; the first that hits a request decides."""

    def __init__(self) -> None:
        self.faults: list[PolychatFault] = []
        self._seen: list[int] = []

    def add(self, written: bytes) -> int:
        """How many faults were added. Raises UsageError when `written` is no list of faults."""
        try:
            faults = msgspec.json.decode(written, type=list[PolychatFault])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"faults: {error}. Send a JSON list of faults.") from error
        self.extend(faults)
        return len(faults)

    def extend(self, faults: Sequence[PolychatFault]) -> None:
        """Adds faults behind those there."""
        self.faults.extend(faults)
        self._seen.extend(0 for _ in faults)

    def clear(self) -> None:
        """Forgets every fault."""
        self.faults.clear()
        self._seen.clear()

    def next(self, body: bytes) -> PolychatFault | None:
        """The fault that hits a request with this body; it counts as used."""
        if not self.faults:
            return None
        for place, fault in enumerate(self.faults):
            if fault.times == 0 or fault.containing.encode() not in body:
                continue
            self._seen[place] += 1
            if self._seen[place] <= fault.skip or (self._seen[place] - fault.skip) % fault.every:
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        return None
