"""The account's state in memory: a table per resource kind, tags, request tokens, counts, under one lock."""

from __future__ import annotations

import secrets
import string
from collections import Counter
from threading import RLock
from typing import Any, TypeVar, cast

from polytune.emulator.bedrock.call import Answer, ApiCall

Resource = TypeVar("Resource")

id_letters = string.ascii_lowercase + string.digits


class AccountState:
    """All state of the emulator. Hold `lock` while reading or changing it."""

    def __init__(self) -> None:
        # One lock for everything, because one call touches several tables: contention does not matter here.
        self.lock = RLock()
        self.tags: dict[str, dict[str, str]] = {}
        """ARN -> tags. Every ARN that can be tagged has an entry."""
        self.calls: Counter[str] = Counter()
        """Operation -> number of calls received."""
        self._tables: dict[type, dict[str, Any]] = {}
        self._answered: dict[tuple[str, str, str], Answer] = {}

    def table(self, kind: type[Resource]) -> dict[str, Resource]:
        """The resources of a kind by ARN, in the order of creation."""
        return cast(dict[str, Resource], self._tables.setdefault(kind, {}))

    def add(self, arn: str, resource: object, tags: list[dict[str, str]] | None = None) -> None:
        """The resource exists with these tags; `tags` is a TagList of the service model."""
        self._tables.setdefault(type(resource), {})[arn] = resource
        self.tags[arn] = {tag["key"]: tag["value"] for tag in tags or ()}

    def remove(self, arn: str, kind: type) -> None:
        """The resource and its tags no longer exist."""
        del self._tables[kind][arn]
        self.tags.pop(arn, None)

    def answered(self, call: ApiCall) -> Answer | None:
        """The answer already given to this operation and token; None for a new request."""
        return self._answered.get(_asked(call)) if call.token else None

    def remember(self, call: ApiCall, answer: Answer) -> None:
        """Repeating the call with the same token returns this answer."""
        # Idempotency: a client that retries after a lost response must not create a second resource.
        if call.token:
            self._answered[_asked(call)] = answer

    def tokens(self) -> list[dict[str, str]]:
        """Every answered request token, in order."""
        return [{"operation": op, "region": region, "token": token} for op, region, token in self._answered]

    def clear(self) -> None:
        """The account is empty."""
        self.tags.clear()
        self.calls.clear()
        self._tables.clear()
        self._answered.clear()


def _asked(call: ApiCall) -> tuple[str, str, str]:
    return call.operation, call.region, call.token


def new_id() -> str:
    """A random id of twelve lower-case letters and digits, as in Bedrock's ARNs."""
    return "".join(secrets.choice(id_letters) for _ in range(12))
