"""The account's resources in memory: one table a kind, tags, request tokens, counts; one lock over all."""

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
    """Everything the emulator remembers; hold `lock` while reading or changing it."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.tags: dict[str, dict[str, str]] = {}
        """ARN -> its tags; every ARN that can be tagged has an entry."""
        self.calls: Counter[str] = Counter()
        """Operation -> calls that arrived."""
        self._tables: dict[type, dict[str, Any]] = {}
        self._answered: dict[tuple[str, str, str], Answer] = {}

    def table(self, kind: type[Resource]) -> dict[str, Resource]:
        """The resources of a kind by ARN, oldest first."""
        return cast(dict[str, Resource], self._tables.setdefault(kind, {}))

    def add(self, arn: str, resource: object, tags: list[dict[str, str]] | None = None) -> None:
        """The resource exists and is tagged; `tags` is a TagList of the model."""
        self._tables.setdefault(type(resource), {})[arn] = resource
        self.tags[arn] = {tag["key"]: tag["value"] for tag in tags or ()}

    def remove(self, arn: str, kind: type) -> None:
        """The resource is gone, and its tags with it."""
        del self._tables[kind][arn]
        self.tags.pop(arn, None)

    def answered(self, call: ApiCall) -> Answer | None:
        """What the same operation with the same token was answered before; None for a new request."""
        return self._answered.get(_asked(call)) if call.token else None

    def remember(self, call: ApiCall, answer: Answer) -> None:
        """The call's token now stands for this answer."""
        if call.token:
            self._answered[_asked(call)] = answer

    def tokens(self) -> list[dict[str, str]]:
        """Every request token that was answered, in order."""
        return [{"operation": op, "region": region, "token": token} for op, region, token in self._answered]

    def clear(self) -> None:
        """The account is empty again."""
        self.tags.clear()
        self.calls.clear()
        self._tables.clear()
        self._answered.clear()


def _asked(call: ApiCall) -> tuple[str, str, str]:
    return call.operation, call.region, call.token


def new_id() -> str:
    """Twelve letters and digits that no other resource has."""
    return "".join(secrets.choice(id_letters) for _ in range(12))
