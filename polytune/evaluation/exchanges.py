"""Reads the rows of a dataset file as exchanges: a prompt and its expected answer."""

from __future__ import annotations

from pathlib import Path

import msgspec

from polytune.formats.interface import FORMATS, Conversation


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One row. The assistant's last turn is the answer, the turns before it are the prompt."""

    system: str
    prompt: str
    answer: str
    cell: dict[str, str | int | float | bool] = {}
    """The matrix cell the row came from; empty if unknown."""


def read_exchanges(path: Path, layout: str) -> list[Exchange]:
    """Every row of a file in this layout, in order. Raises DataError at the first invalid row."""
    # Answers are optional: the prompts of a distillation job have none, and can be evaluated all the same.
    layout_format = FORMATS.load(layout)("optional")
    with path.open("rb") as file:
        return [_exchange(layout_format.decode(line.rstrip(b"\r\n"))) for line in file]


def _exchange(row: Conversation) -> Exchange:
    """The exchange in a row; its answer is '' if the row has none."""
    answered = row.turns[-1].role == "assistant"
    return Exchange(
        system=row.system or "",
        prompt="\n\n".join(turn.text for turn in (row.turns[:-1] if answered else row.turns)),
        answer=row.turns[-1].text if answered else "",
    )
