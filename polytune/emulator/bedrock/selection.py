"""Filtering, sorting and pagination, shared by all List operations."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from polytune.emulator.bedrock.call import ApiCall, Members, invalid

Resource = TypeVar("Resource")

usual_page = 100
"""Items per page if the caller sets no maxResults. The service's own default is not published."""


@dataclass(frozen=True)
class Listing(Generic[Resource]):
    """How resources of one kind are listed."""

    member: str
    """The output member that holds the summaries."""
    name: Callable[[Resource], str]
    created: Callable[[Resource], datetime]
    arn: Callable[[Resource], str]
    summary: Callable[[Resource], Members]
    equal: dict[str, str]
    """Filter in the request -> the member of the summary that must equal it."""
    name_filter: str = "nameContains"

    def page(self, call: ApiCall, resources: Iterable[Resource]) -> Members:
        """The requested page. Raises EmulatedError for an unknown pagination token."""
        asked = call.members
        found = [(self._place(one), one) for one in resources if self._in_time(one, asked)]
        found = [(place, one) for place, one in found if asked.get(self.name_filter, "") in self.name(one)]
        # Newest first unless the caller asks otherwise; ties are broken by ARN, so that pages are stable.
        found.sort(key=lambda item: item[0], reverse=asked.get("sortOrder") != "Ascending")
        shown = [(place, self.summary(one)) for place, one in found]
        for filtered, member in self.equal.items():
            if filtered in asked:
                shown = [(place, one) for place, one in shown if one.get(member) == asked[filtered]]
        start = self._start([place for place, _ in shown], asked.get("nextToken"))
        size = asked.get("maxResults", usual_page)
        page = shown[start : start + size]
        answer: Members = {self.member: [one for _, one in page]}
        if start + size < len(shown):
            answer["nextToken"] = _token(page[-1][0])
        return answer

    def _place(self, resource: Resource) -> tuple[str, str]:
        return self.created(resource).isoformat(), self.arn(resource)

    def _in_time(self, resource: Resource, asked: dict[str, Any]) -> bool:
        after = asked.get("creationTimeAfter", asked.get("createdAfter"))
        before = asked.get("creationTimeBefore", asked.get("createdBefore"))
        created = self.created(resource)
        return (after is None or created > after) and (before is None or created < before)

    # A token names the last item of the previous page, not an offset: items created between two calls
    # neither repeat nor hide others.
    def _start(self, places: list[tuple[str, str]], token: str | None) -> int:
        if token is None:
            return 0
        for index, place in enumerate(places):
            if _token(place) == token:
                return index + 1
        raise invalid("The provided pagination token is invalid.")


def _token(place: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode("|".join(place).encode()).decode()
