"""Rows of a dataset file as exchanges: what is asked, and the answer that was wanted."""

from __future__ import annotations

from pathlib import Path

import msgspec

from polytune.formats.interface import FORMATS, Conversation


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One row: the assistant's last turn is the answer, what comes before it is the prompt."""

    system: str
    prompt: str
    answer: str
    cell: dict[str, str | int | float | bool] = {}
    """The matrix cell the row came from; empty when unknown."""


def read_exchanges(path: Path, layout: str) -> list[Exchange]:
    """Every row of a file in that layout, in order. Raises DataError at the first row that is none."""
    layout_format = FORMATS.load(layout)("optional")
    with path.open("rb") as file:
        return [_exchange(layout_format.decode(line.rstrip(b"\r\n"))) for line in file]


def _exchange(row: Conversation) -> Exchange:
    """The answer is '' in a row that only asks."""
    answered = row.turns[-1].role == "assistant"
    return Exchange(
        system=row.system or "",
        prompt="\n\n".join(turn.text for turn in (row.turns[:-1] if answered else row.turns)),
        answer=row.turns[-1].text if answered else "",
    )
