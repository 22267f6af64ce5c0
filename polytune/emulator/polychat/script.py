"""Scripted faults of the Polychat stand-in: which requests fail, and how. Nothing is random.

[{"kind": "rate_limit", "times": 3},                    the next three requests
 {"kind": "unavailable", "every": 50, "times": null},   every 50th request, without end
 {"kind": "prose", "skip": 10, "times": 1},             the eleventh
 {"kind": "slow", "seconds": 5, "containing": "jazz"}]  the next one whose body contains the text
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
"""In order: closed before any work; closed after the work; closed after half of the answer; delayed."""


class PolychatFault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One scripted fault."""

    kind: Refusal | Transport | Reply | Literal["code", "repeat"]
    """`code` answers with `text`; `repeat` answers with the code of the previous answer."""
    times: Count | None = 1
    """How many requests it hits; null for no limit."""
    skip: Count = 0
    """How many matching requests pass before the first hit."""
    every: Annotated[int, msgspec.Meta(ge=1)] = 1
    """Hits every nth matching request."""
    containing: str = ""
    """Matches bodies that contain this text; '' matches all."""
    seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """The delay of a `slow` answer, in seconds."""
    text: str = ""
    """The message of a refusal, or the code of `code`."""


class Script:
    """The scripted faults, in order. The first one that hits a request decides."""

    def __init__(self) -> None:
        self.faults: list[PolychatFault] = []
        self._seen: list[int] = []

    def add(self, written: bytes) -> int:
        """Adds a JSON list of faults and returns their number. Raises UsageError if it is not such a list."""
        try:
            faults = msgspec.json.decode(written, type=list[PolychatFault])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"faults: {error}. Send a JSON list of faults.") from error
        self.extend(faults)
        return len(faults)

    def extend(self, faults: Sequence[PolychatFault]) -> None:
        """The faults have been appended to the script."""
        self.faults.extend(faults)
        self._seen.extend(0 for _ in faults)

    def clear(self) -> None:
        """The script is empty."""
        self.faults.clear()
        self._seen.clear()

    def next(self, body: bytes) -> PolychatFault | None:
        """The fault that hits a request with this body, which uses it up once; None for none."""
        if not self.faults:
            return None
        for place, fault in enumerate(self.faults):
            if fault.times == 0 or fault.containing.encode() not in body:
                continue
            # A request that an earlier fault hits does not get here: `skip` and `every` do not count it.
            self._seen[place] += 1
            if self._seen[place] <= fault.skip or (self._seen[place] - fault.skip) % fault.every:
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        return None
