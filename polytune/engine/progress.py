"""How a step says how far it is; the engine passes it to the events file and the screen."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One report of a step at work."""

    done: float
    total: float
    unit: str = ""
    """What is counted: 'answers', 'records', 'of training'."""
    note: str = ""
    """What limits it, the loss, what was reused."""
    usd: float | None = None
    """Spent so far by this step in this run."""


Reporter = Callable[[Progress], None]
