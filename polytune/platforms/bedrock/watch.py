"""Watches one remote job or deployment to its end, whoever started it and whatever goes wrong meanwhile.

A look that fails says nothing about the job: the next one comes later, after a pause that doubles up to
five minutes. After a failure the account is opened anew, so that fresh credentials are found.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

import msgspec

from polytune.aws.access import Access
from polytune.aws.failures import AwsFailure, Missing
from polytune.aws.objects import Objects
from polytune.engine.clock import Clock
from polytune.errors import PolytuneError
from polytune.platforms.bedrock.curves import Curves, read_curves
from polytune.platforms.bedrock.resources import Inventory, Remote, customization

longest_pause_seconds = 300.0


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What one look showed."""

    remote: Remote
    """As it stood at the last look that succeeded."""
    curves: Curves = Curves()
    trouble: str = ""
    """Why this look failed; '' when it did not."""
    gone: bool = False
    """Whether it does not exist any more."""
    next_look_seconds: float = 0.0
    """0 after the last look."""


@dataclass(frozen=True)
class Watching:
    """How to look."""

    open_access: Callable[[], Access]
    """The account with the credentials of now."""
    clock: Clock
    pause_seconds: float

    async def sights(self, remote: Remote) -> AsyncIterator[Sight]:
        """One sight a look, the last one when it has ended or is gone."""
        watcher = _Watcher(self.open_access, self.open_access(), Sight(remote=remote))
        troubles = 0
        while True:
            sight = await asyncio.to_thread(watcher.look)
            troubles = troubles + 1 if sight.trouble else 0
            over = sight.gone or (sight.remote.final and not sight.trouble)
            pause = 0.0 if over else longer(self.pause_seconds, troubles)
            yield msgspec.structs.replace(sight, next_look_seconds=pause)
            if over:
                return
            await self.clock.sleep(pause)


@dataclass
class _Watcher:
    open_access: Callable[[], Access]
    access: Access
    last: Sight

    def look(self) -> Sight:
        """The next sight; never raises what AWS, the network or a wrong `.env` can cause."""
        try:
            remote = Inventory(self.access, attempts=1).read(self.last.remote.what, self.last.remote.arn)
        except Missing:
            return msgspec.structs.replace(self.last, gone=True, trouble="")
        except (PolytuneError, OSError) as failure:
            self._reopen()
            return msgspec.structs.replace(self.last, trouble=str(failure))
        self.last = Sight(remote=remote, curves=self._curves(remote))
        return self.last

    def _reopen(self) -> None:
        try:
            self.access = self.open_access()
        except (PolytuneError, OSError):
            self.access = replace(self.access)

    def _curves(self, remote: Remote) -> Curves:
        """What is known of the curves; a bucket that may not be read leaves them as they were."""
        if remote.kind != customization.word:
            return Curves()
        try:
            return read_curves(Objects(self.access), remote.details)
        except (AwsFailure, PolytuneError):
            return self.last.curves


def longer(pause: float, troubles: int) -> float:
    """The pause after so many failed looks in a row, in seconds."""
    if not troubles:
        return pause
    return max(pause, min(pause * 2.0 ** min(troubles, 30), longest_pause_seconds))
