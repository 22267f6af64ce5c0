"""Calls Bedrock's Converse API: one attempt per call, each in its own thread, with typed failures.

boto3's own retries are off: the client decides when to retry and how many calls run at once. Teachers import
this module only when they need an answer, because boto3 takes half a second to load.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from polytune.asking.failures import Failure, FailureKind, kind_of_status
from polytune.aws.access import Access
from polytune.aws.failures import AwsFailure, Denied, Missing, NeedsCredentials, Unreachable
from polytune.aws.threads import in_thread
from polytune.errors import Paused
from polytune.settings import number_above_zero

attempt_seconds = 900.0
"""boto3's default of 60 s cuts off long answers, which are then billed twice (langchain-aws issue 819)."""
never_sent = frozenset({"EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError"})
"""Errors that occur before the request is sent, so that nothing can have been billed."""
# Converse has one ValidationException for a wrong model and for a wrong question, and one
# ThrottlingException for a burst and for the daily quota: only the message tells them apart.
wrong_model = re.compile(r"model identifier|on-demand throughput|model id|inference profile", re.IGNORECASE)
used_up = re.compile(r"per day|daily", re.IGNORECASE)
# Response metadata (request id, headers, retries) differs for equal answers and is left out.
kept_members = ("output", "stopReason", "usage", "metrics", "trace", "additionalModelResponseFields")

_encoder = msgspec.json.Encoder()


class ConverseConnection:
    """A connection to one model with one set of credentials in one region."""

    def __init__(self, model_id: str, access: Access) -> None:
        self.model_id = model_id
        self.access = access
        stated = number_above_zero(access.environment, "POLYTUNE_ATTEMPT_SECONDS")
        self.attempt_seconds = stated or attempt_seconds

    async def call(self, members: Mapping[str, Any]) -> dict[str, Any]:
        """Return the members of Converse's response. Raises Failure, and Paused without valid credentials."""
        try:
            return await in_thread(self._called, {"modelId": self.model_id, **members})
        except NeedsCredentials as failure:
            raise Paused(str(failure).rstrip(".")) from failure
        except AwsFailure as failure:
            raise as_failure(failure) from failure

    def _called(self, members: Mapping[str, Any]) -> dict[str, Any]:
        seconds = self.attempt_seconds
        service = self.access.service("bedrock-runtime", attempts=1, read_timeout_seconds=seconds)
        return service.call("Converse", members)


def kept_body(answer: Mapping[str, Any]) -> bytes:
    """The stored part of a response, as JSON without request ids, so that equal answers have equal bodies."""
    return _encoder.encode({name: answer[name] for name in kept_members if name in answer})


def as_failure(failure: AwsFailure) -> Failure:
    """Convert an AWS failure into a Failure with its kind."""
    return Failure(_kind(failure), str(failure), status=failure.status or None)


def _kind(failure: AwsFailure) -> FailureKind:
    if isinstance(failure, Denied):
        return FailureKind.DENIED
    if isinstance(failure, Missing):
        return FailureKind.MISTAKEN
    throttled = failure.code.startswith(("Throttl", "TooManyRequests", "ServiceQuota"))
    # A daily quota does not come back within a run: retrying would only use up the patience limit.
    if throttled and (used_up.search(failure.said) or failure.code.startswith("ServiceQuota")):
        return FailureKind.QUOTA
    if throttled or failure.code in ("ServiceUnavailableException", "ModelNotReadyException"):
        return FailureKind.OVERLOADED
    if failure.code in ("ModelErrorException", "ModelTimeoutException"):
        return FailureKind.BROKEN
    if isinstance(failure, Unreachable):
        return _kind_of_unreachable(failure)
    # Without a status, boto3 itself refused the call: its parameters are wrong for every question.
    if not failure.status or wrong_model.search(failure.said):
        return FailureKind.MISTAKEN
    return FailureKind.UNFIT


def _kind_of_unreachable(failure: AwsFailure) -> FailureKind:
    """LOST when the request was sent and the answer was cut off, because that may have been billed."""
    if failure.code in never_sent:
        return FailureKind.UNREACHABLE
    cut_off = failure.code in ("TruncatedResponse", "IncompleteAnswer")
    return FailureKind.LOST if cut_off or not failure.status else kind_of_status(failure.status)
