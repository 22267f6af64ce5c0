"""Members of families that may hold something open while they work: a process, a connection."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class Openable:
    """An async context manager; by itself it holds nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None
