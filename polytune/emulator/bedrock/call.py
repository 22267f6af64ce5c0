"""A request after the service model has parsed it, and the base class of what answers it.

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
    """The virtual time of the request."""
    token: str = ""
    """Its clientRequestToken; '' if it has none."""

    def text(self, member: str) -> str:
        """A string member; '' if it is absent."""
        return str(self.members.get(member, ""))


@dataclass(frozen=True)
class EventStream:
    """The response of a streaming operation: events by name, each sent as soon as it is produced."""

    events: Iterable[tuple[str, Members]]


Answer: TypeAlias = Members | EventStream


class EmulatedError(Exception):
    """The service refuses a call. The service model maps the code to the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        """`status` is used only for a code that the operation's model does not list."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def invalid(message: str) -> EmulatedError:
    """The error for a request that is invalid by itself."""
    return EmulatedError("ValidationException", message, 400)


def not_found(message: str) -> EmulatedError:
    """The error for a request that names a resource that does not exist."""
    return EmulatedError("ResourceNotFoundException", message, 404)


def conflict(message: str) -> EmulatedError:
    """The error for a request that the resource's current state does not allow."""
    # In Bedrock's model a conflict has status 400, not 409.
    return EmulatedError("ConflictException", message, 400)


def over_quota(message: str) -> EmulatedError:
    """The error for a request that would exceed a quota of the account."""
    return EmulatedError("ServiceQuotaExceededException", message, 400)


class Area:
    """A group of operations: one method per operation, with botocore's client method names.

    A method takes an `ApiCall` and returns the members of the output shape. Methods run one at a time,
    under the state's lock. The events of an `EventStream` are read without the lock.
    """

    service = "bedrock"

    def settle(self, now: datetime) -> None:
        """Everything due by `now` has happened. Runs before every call, under the lock."""

    def snapshot(self, now: datetime) -> dict[str, Any]:
        """The area's part of `/_control/state`: JSON values, under names that no other area uses."""
        return {}

    def operation(self, name: str) -> Callable[[ApiCall], Answer] | None:
        """The method for an operation of the model; None if the area does not implement it."""
        # Looked up on the class, so that an attribute of an instance is never taken for an operation.
        method: Callable[[ApiCall], Answer] | None = getattr(type(self), xform_name(name), None)
        return None if method is None else method.__get__(self)
