"""Deployments and the leases in their tags: finds expired, idle and orphaned ones.

Only deployments with polytune's tags are considered; everything else in the account is left alone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from polytune.aws.usage import invocations_since
from polytune.platforms.bedrock.deploy import by_hand
from polytune.platforms.bedrock.resources import Inventory, polytunes
from polytune.platforms.management import LeasedDeployment, ManagedJob

State = Literal["expired", "idle", "leased", "kept"]


@dataclass(frozen=True)
class Leases:
    """Checks the leases in one account and region."""

    inventory: Inventory
    now: datetime
    """The time, with its zone, that leases are compared with."""
    known: Collection[str]
    """ARNs of deployments that the ledger's runs refer to."""

    def all(self) -> list[LeasedDeployment]:
        """Every deployment with polytune's tags. Raises AwsFailure."""
        found = []
        for job in self.inventory.deployments():
            tags = polytunes(self.inventory.tags(job.id))
            if tags:
                found.append(self._leased(job, tags))
        return found

    def _leased(self, job: ManagedJob, tags: dict[str, str]) -> LeasedDeployment:
        state, why = self._expired(tags) or self._idle(job, tags) or self._standing(tags)
        orphan = job.id not in self.known and tags.get("step") != by_hand
        return LeasedDeployment(job=job, tags=tags, state=state, why=why, orphan=orphan)

    def _expired(self, tags: dict[str, str]) -> tuple[State, str] | None:
        end = _moment(tags.get("expires-at", ""))
        return ("expired", f"since {end:%Y-%m-%d %H:%MZ}") if end and end <= self.now else None

    def _idle(self, job: ManagedJob, tags: dict[str, str]) -> tuple[State, str] | None:
        """The state of its idle limit; None when it has no idle limit."""
        stated = tags.get("idle-seconds", "")
        allowed = int(stated) if stated.isdigit() else 0
        if not allowed:
            return None
        since, words = self.now - timedelta(seconds=allowed), _duration(allowed)
        made = max(filter(None, (job.created, job.changed)), default=self.now)
        if made > since:
            return "leased", f"younger than the {words} that it may stay unasked"
        # Without CloudWatch a deployment counts as used: deleting one that is needed is the worse mistake.
        calls = invocations_since(self.inventory.access, job.id, since, self.now)
        if calls is None:
            return "leased", "CloudWatch does not tell whether it is asked"
        return ("leased", f"asked {calls} times in {words}") if calls else ("idle", f"not asked for {words}")

    def _standing(self, tags: dict[str, str]) -> tuple[State, str]:
        until = tags.get("expires-at")
        return ("leased", f"until {until}") if until else ("kept", "it has no lease")


def _moment(text: str) -> datetime | None:
    """The time in a tag; None when it is missing or not a time."""
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _duration(seconds: int) -> str:
    """`2 h`, `3 d`, `15 min`"""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
