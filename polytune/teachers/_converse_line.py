"""Calls of Converse: one attempt each, in a thread of its own, and what their failures mean for asking.

boto3's own retries are off: the client that asks knows better when, and how many at once. `bedrock` loads
this file when an answer is really asked for, because boto3 takes half a second to load.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from polytune.asking.failures import Failure, Kind, kind_of_status
from polytune.asking.numbers import number_above_zero
from polytune.aws.access import Access
from polytune.aws.failures import AwsFailure, Denied, Missing, NeedsCredentials, Unreachable
from polytune.errors import Paused
from polytune.settings import Settings
from polytune.teachers._threads import in_thread

attempt_seconds = 900.0
"""boto3's own 60 s cut long answers off, which are then billed twice (langchain-aws issue 819)."""
never_sent = frozenset({"EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError"})
wrong_model = re.compile(r"model identifier|on-demand throughput|model id|inference profile", re.IGNORECASE)
used_up = re.compile(r"per day|daily", re.IGNORECASE)
kept_members = ("output", "stopReason", "usage", "metrics", "trace", "additionalModelResponseFields")

_encoder = msgspec.json.Encoder()


class Line:
    """One model in one region."""

    def __init__(self, model_id: str, region: str, assume_role_arn: str, settings: Settings) -> None:
        self.model_id = model_id
        environment = settings.environment
        self.access = Access(region, assume_role_arn=assume_role_arn, environment=environment)
        self.seconds = number_above_zero(environment, "POLYTUNE_ATTEMPT_SECONDS") or attempt_seconds

    async def converse(self, members: dict[str, Any]) -> bytes:
        """The answer's members as JSON. Raises Failure, and Paused without valid credentials."""
        try:
            answer = await in_thread(self._answer, {"modelId": self.model_id, **members})
        except NeedsCredentials as failure:
            raise Paused(str(failure).rstrip(".")) from failure
        except AwsFailure as failure:
            raise as_failure(failure) from failure
        return _encoder.encode({name: answer[name] for name in kept_members if name in answer})

    def _answer(self, members: dict[str, Any]) -> dict[str, Any]:
        service = self.access.service("bedrock-runtime", attempts=1, read_timeout_seconds=self.seconds)
        return service.call("Converse", members)


def as_failure(failure: AwsFailure) -> Failure:
    """The failed attempt, as asking knows its kinds."""
    return Failure(_kind(failure), str(failure), status=failure.status or None)


def _kind(failure: AwsFailure) -> Kind:
    if isinstance(failure, Denied):
        return Kind.DENIED
    if isinstance(failure, Missing):
        return Kind.MISTAKEN
    throttled = failure.code.startswith(("Throttl", "TooManyRequests", "ServiceQuota"))
    if throttled and (used_up.search(failure.said) or failure.code.startswith("ServiceQuota")):
        return Kind.QUOTA
    if throttled or failure.code in ("ServiceUnavailableException", "ModelNotReadyException"):
        return Kind.OVERLOADED
    if failure.code in ("ModelErrorException", "ModelTimeoutException"):
        return Kind.BROKEN
    if isinstance(failure, Unreachable):
        return _kind_of_unreachable(failure)
    if not failure.status or wrong_model.search(failure.said):
        return Kind.MISTAKEN
    return Kind.UNFIT


def _kind_of_unreachable(failure: AwsFailure) -> Kind:
    """An answer that was cut off on the way may have been billed."""
    if failure.code in never_sent:
        return Kind.UNREACHABLE
    cut_off = failure.code in ("TruncatedResponse", "IncompleteAnswer")
    return Kind.LOST if cut_off or not failure.status else kind_of_status(failure.status)
