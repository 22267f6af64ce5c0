"""Rows of a dataset file as exchanges: what is asked, and the answer that was wanted."""

from __future__ import annotations

from pathlib import Path

import msgspec

from polytune.formats.interface import FORMATS


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One row: the last turn is the answer, what comes before it is the prompt."""

    system: str
    prompt: str
    answer: str
    cell: dict[str, str | int | float | bool] = {}
    """The matrix cell the row came from; empty when unknown."""


def read_exchanges(path: Path, layout: str) -> list[Exchange]:
    """Every row of a file in that layout, in order. Raises DataError at the first row that is none."""
    layout_format = FORMATS.load(layout)()
    with path.open("rb") as file:
        conversations = [layout_format.decode(line.rstrip(b"\r\n")) for line in file]
    return [
        Exchange(
            system=c.system or "",
            prompt="\n\n".join(turn.text for turn in c.turns[:-1]),
            answer=c.turns[-1].text,
        )
        for c in conversations
    ]
