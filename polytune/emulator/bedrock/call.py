"""What one request is once it has been read by the service model, and what answers it.

HTTP --model--> Call --Area.<operation>--> members, EventStream or EmulatedError --model--> HTTP
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from botocore import xform_name

Members: TypeAlias = dict[str, Any]
"""A structure of the service model: member name -> value; times are datetimes, blobs are bytes."""


@dataclass(frozen=True)
class ApiCall:
    """One request, already checked against the operation's input shape."""

    service: str
    """`bedrock` or `bedrock-runtime`."""
    operation: str
    """As the model spells it: `CreateModelCustomizationJob`."""
    members: Members
    account: str
    region: str
    """From the request's credential scope."""
    now: datetime
    """The virtual time at which the request arrived."""
    token: str = ""
    """Its clientRequestToken; '' when it has none."""

    def text(self, member: str) -> str:
        """A string member; '' when it is absent."""
        return str(self.members.get(member, ""))


@dataclass(frozen=True)
class EventStream:
    """What a streaming operation answers: events by name, sent one by one as they come."""

    events: Iterable[tuple[str, Members]]


Answer: TypeAlias = Members | EventStream


class EmulatedError(Exception):
    """The service refuses a call; the model turns the code into the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        """`status` counts only for a code that the operation's model does not list."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def invalid(message: str) -> EmulatedError:
    """The refusal of a request that is wrong in itself."""
    return EmulatedError("ValidationException", message, 400)


def not_found(message: str) -> EmulatedError:
    """The refusal of a request that names something that does not exist."""
    return EmulatedError("ResourceNotFoundException", message, 404)


def conflict(message: str) -> EmulatedError:
    """The refusal of a request that the resource's state does not allow now."""
    return EmulatedError("ConflictException", message, 400)


def over_quota(message: str) -> EmulatedError:
    """The refusal of a request that would exceed a quota of the account."""
    return EmulatedError("ServiceQuotaExceededException", message, 400)


class Area:
    """A group of operations: one method each, named as botocore's clients name them.

    A method takes a `Call` and returns the members of the output shape. Methods run one at a time,
    under the state's lock; events of an `EventStream` are drawn without it.
    """

    service = "bedrock"

    def settle(self, now: datetime) -> None:
        """Everything due by `now` has happened; called before every call, under the lock."""

    def snapshot(self, now: datetime) -> dict[str, Any]:
        """What `/_control/state` shows of the area: JSON values by a name of its own."""
        return {}

    def operation(self, name: str) -> Callable[[ApiCall], Answer] | None:
        """The method for an operation of the model; None when the area does not implement it."""
        method: Callable[[ApiCall], Answer] | None = getattr(type(self), xform_name(name), None)
        return None if method is None else method.__get__(self)
