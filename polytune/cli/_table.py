"""Plain-text tables: columns as wide as their widest cell, times in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """One line per row, with two spaces between columns; all rows must have the same number of cells."""
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def moment(when: datetime | None) -> str:
    """The time as `2026-11-21 18:02Z`; '' for None."""
    return f"{when:%Y-%m-%d %H:%MZ}" if when else ""
