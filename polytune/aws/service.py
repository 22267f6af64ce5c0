"""One AWS service as polytune calls it: checked before, guarded on the way, checked after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore import xform_name
from botocore.exceptions import ParamValidationError

from polytune.aws import guard
from polytune.aws.failures import explained, incomplete
from polytune.aws.shapes import RequestRefused, check_request, lacking_members

last_events = {"ConverseStream": "metadata"}
"""The event that ends a whole stream: one that stops before it was cut off."""


class Service:
    """Calls to one service, with its operations and members named as in AWS's API reference.

    May be used from several threads at once.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._model = client.meta.service_model
        self.name: str = self._model.service_name
        guard.install(client)

    @property
    def endpoint(self) -> str:
        """The address that calls go to."""
        return str(self._client.meta.endpoint_url)

    def call(self, operation: str, members: Mapping[str, Any]) -> dict[str, Any]:
        """The answer's members. A member of the request that is None is left out.

        Raises RequestRefused before the call, AwsFailure after it.
        """
        sent = self._checked(operation, members)
        with explained(self.name, operation):
            answer = self._method(operation)(**sent)
        return self._complete(operation, answer)

    def pages(self, operation: str, members: Mapping[str, Any], member: str) -> Iterator[Any]:
        """The items of `member` of every page in the service's order, mostly dicts; raises as `call`."""
        sent = self._checked(operation, members)
        with explained(self.name, operation):
            pages = iter(self._client.get_paginator(xform_name(operation)).paginate(**sent))
        while True:
            with explained(self.name, operation):
                page = next(pages, None)
            if page is None:
                return
            yield from self._complete(operation, page).get(member) or ()

    def stream(self, operation: str, members: Mapping[str, Any], member: str) -> Iterator[dict[str, Any]]:
        """The events of the stream in `member`, as they arrive; raises as `call` does, also halfway."""
        events = self.call(operation, members)[member]
        expected = last_events.get(operation)
        seen: set[str] = set()
        try:
            arriving = iter(events)
            while True:
                with explained(self.name, operation):
                    event = next(arriving, None)
                if event is None:
                    break
                seen.update(event)
                yield event
        finally:
            events.close()
        if expected and expected not in seen:
            raise incomplete(self.name, operation, [f"the event {expected}"])

    def _checked(self, operation: str, members: Mapping[str, Any]) -> dict[str, Any]:
        sent = {name: value for name, value in members.items() if value is not None}
        check_request(self.name, self._model.operation_model(operation), sent)
        return sent

    def _method(self, operation: str) -> Any:
        method = getattr(self._client, xform_name(operation))

        def checked_types(**sent: Any) -> Any:
            try:
                return method(**sent)
            except ParamValidationError as error:
                problem = " ".join(str(error).split())
                raise RequestRefused(f"{self.name} {operation}: {problem}. Nothing was sent.") from error

        return checked_types

    def _complete(self, operation: str, answer: dict[str, Any]) -> dict[str, Any]:
        lacking = lacking_members(self._model.operation_model(operation), answer)
        if lacking:
            raise incomplete(self.name, operation, lacking)
        return answer
