"""Plain text for tables: columns as wide as their widest cell, moments in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """One line a row, two spaces between columns; all rows have as many cells."""
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def moment(when: datetime | None) -> str:
    """`2026-11-21 18:02Z`; '' for none."""
    return f"{when:%Y-%m-%d %H:%MZ}" if when else ""
