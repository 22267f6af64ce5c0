"""Scripted faults: which calls fail, how, and how often. Nothing here is random.

A fault counts the calls that match it. It skips the first `after` of them and hits the next `times`
(all if None), or with `every: [k, n]` k of each n, evenly spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Literal, TypeAlias, get_args

import msgspec

CallFault: TypeAlias = Literal[
    "throttle", "error", "reset", "drop_answer", "cut_body", "slow", "expired_token"
]
JobFault: TypeAlias = Literal["stuck_not_started", "failed_validation", "failed_training", "internal_error"]
any_operation = "*"
job_faults: tuple[JobFault, ...] = get_args(JobFault)


class BedrockFault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One scripted fault, as posted to `/_control/faults`."""

    kind: CallFault | JobFault
    operation: str = any_operation
    """The operation it matches; `*` matches all. For a job fault, the operation that creates the job."""
    code: str = "InternalServerException"
    """For `error`: the error's code."""
    status: int = 500
    """For `error`: the HTTP status."""
    message: str = ""
    """For `error` and failed jobs: the message; '' for the default one."""
    bytes: int = 20
    """For `cut_body`: the number of body bytes that are sent."""
    framed: bool = False
    """For `cut_body`: whether Content-Length is the cut length, so that the response is valid HTTP."""
    seconds: float = 1.0
    """For `slow`: real seconds of delay before the call is handled."""
    stuck_seconds: float | None = None
    """For `stuck_not_started`: virtual seconds until training starts after all; None for never."""
    times: int | None = None
    """How many matching calls are hit; None for all."""
    every: tuple[int, int] | None = None
    """`[k, n]`: k of each n matching calls are hit, evenly spread; None for every call."""
    after: int = 0
    """How many matching calls pass before the first hit."""

    def __post_init__(self) -> None:
        if self.every is not None and not 0 <= self.every[0] <= self.every[1] != 0:
            raise ValueError("every: [k, n] wants 0 <= k <= n and n >= 1")

    def hits(self, number: int, hit_before: int) -> bool:
        """Whether the matching call `number`, counted from 0, is hit; `hit_before` counts earlier hits."""
        if number < self.after or (self.times is not None and hit_before >= self.times):
            return False
        if self.every is None:
            return True
        # Even spacing, as in Bresenham's algorithm: true for exactly `share` of any `of` consecutive numbers.
        share, of = self.every
        return (number - self.after) * share % of < share


class Scripted:
    """A fault and how many calls it has matched and hit."""

    def __init__(self, fault: BedrockFault) -> None:
        self.fault = fault
        self.matched = 0
        self.hit = 0

    def struck(self) -> bool:
        """Counts a matching call and tells whether it is hit."""
        hits = self.fault.hits(self.matched, self.hit)
        self.matched += 1
        self.hit += hits
        return hits


class Faults:
    """All scripted faults. The first one that hits a call decides."""

    def __init__(self) -> None:
        self._script: list[Scripted] = []
        # A lock of its own, because the faults of calls are looked up without holding the state's lock.
        self._lock = Lock()

    def add(self, faults: Sequence[BedrockFault]) -> None:
        """The faults have been appended to the script."""
        with self._lock:
            self._script.extend(map(Scripted, faults))

    def clear(self) -> None:
        """The script is empty."""
        with self._lock:
            self._script.clear()

    def of_call(self, operation: str) -> BedrockFault | None:
        """The call fault that hits this call; None for none."""
        return self._first(operation, jobs=False)

    def of_job(self, operation: str) -> BedrockFault | None:
        """The job fault that hits the job being created by the operation; None for none."""
        return self._first(operation, jobs=True)

    def listed(self) -> list[dict[str, object]]:
        """Every scripted fault with its counts, as JSON values."""
        with self._lock:
            return [
                msgspec.to_builtins(scripted.fault) | {"matched": scripted.matched, "hit": scripted.hit}
                for scripted in self._script
            ]

    def _first(self, operation: str, *, jobs: bool) -> BedrockFault | None:
        with self._lock:
            for scripted in self._script:
                fault = scripted.fault
                if (fault.kind in job_faults) != jobs or fault.operation not in (any_operation, operation):
                    continue
                if scripted.struck():
                    return fault
        return None
