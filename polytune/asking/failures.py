"""The kinds of failure between a question and its answer; each kind is retried differently.

OVERLOADED   429, 503, 529, ThrottlingException     retry later, send more slowly
BROKEN       500, 502, 504                          retry with growing pauses
UNREACHABLE  no connection                          retry; the endpoint may be down
LOST         cut off after the question was sent    retry; it may have been billed
UNFIT        400, 413, 422                          drop this question, continue with the others
QUOTA        no money, no quota left                stop
DENIED       401, 403                               stop
MISTAKEN     no such model, no such address         stop
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from polytune.errors import StepFailed

excerpt_characters = 300
"""How much of a server's body an error message shows."""


class FailureKind(StrEnum):
    """The kind of a failure; `retries.policies` has a policy for each kind that is retried."""

    OVERLOADED = "overloaded"
    BROKEN = "broken"
    UNREACHABLE = "unreachable"
    LOST = "lost"
    UNFIT = "unfit"
    QUOTA = "quota"
    DENIED = "denied"
    MISTAKEN = "mistaken"

    @property
    def fatal(self) -> bool:
        """Whether every other question would fail in the same way."""
        return self in (FailureKind.QUOTA, FailureKind.DENIED, FailureKind.MISTAKEN)

    @property
    def down(self) -> bool:
        """Whether it suggests that the whole endpoint is down."""
        return self in (FailureKind.BROKEN, FailureKind.UNREACHABLE, FailureKind.LOST)


class Failure(StepFailed):
    """One attempt at a question that got no answer."""

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        body: bytes = b"",
    ) -> None:
        """`retry_after` is the pause in seconds that the endpoint asks for; None when it states none."""
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.retry_after = retry_after
        self.body = body

    def as_kind(self, kind: FailureKind, hint: str = "") -> Failure:
        """Return the same failure as another kind, with the hint appended to its message."""
        message = f"{self}; {hint}" if hint else str(self)
        return Failure(kind, message, status=self.status, retry_after=self.retry_after, body=self.body)

    @property
    def maybe_billed(self) -> bool:
        """Whether the endpoint may have billed the question although no answer arrived."""
        return self.kind is FailureKind.LOST


def kind_of_status(status: int) -> FailureKind:
    """The kind of failure for an HTTP status, when the body says nothing more specific."""
    # 529 is Anthropic's "overloaded".
    if status in (429, 503, 529):
        return FailureKind.OVERLOADED
    if status in (401, 403):
        return FailureKind.DENIED
    if status == 402:
        return FailureKind.QUOTA
    # Redirects are not followed: a redirected POST may turn into a GET, or carry the key to another host.
    if status in (404, 405) or 300 <= status < 400:
        return FailureKind.MISTAKEN
    if status == 408 or status >= 500:
        return FailureKind.BROKEN
    return FailureKind.UNFIT


def pause_asked_for(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds to wait according to a `Retry-After` header (seconds or an HTTP date); None without one."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        then = parsedate_to_datetime(header)
    except ValueError:
        return None
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max(0.0, (then - (now or datetime.now(UTC))).total_seconds())


def excerpt(body: bytes) -> str:
    """The beginning of a body on one line, for error messages."""
    # Cut before decoding: error pages can be megabytes long, and UTF-8 takes at most 4 bytes a character.
    text = " ".join(body[: 4 * excerpt_characters].decode(errors="replace").split())
    return text if len(text) <= excerpt_characters else text[: excerpt_characters - 3] + "..."
