"""Reads training rows: one conversation per JSON line, in either of two layouts. Needs no torch.

{"schemaVersion", "system": [{"text"}], "messages": [{"role", "content": [{"text"}]}]}
{"prompt", "completion"}
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from polytune.errors import DataError

SCHEMA_VERSION = "bedrock-conversation-2024"


class TrainingTurn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of a conversation."""

    role: Literal["user", "assistant"]
    text: str


class TrainingPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """The input of the model: the turns up to the user's last one, and the system prompt, '' for none."""

    system: str
    turns: tuple[TrainingTurn, ...]


class TrainingRow(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation and the answer that the model should learn."""

    asked: TrainingPrompt
    answer: str


class JobRows(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a job's two files."""

    training: list[TrainingRow]
    validation: list[TrainingRow]


def asking(prompt: str, system: str = "") -> TrainingPrompt:
    """A prompt of a single question."""
    return TrainingPrompt(system=system, turns=(TrainingTurn(role="user", text=prompt),))


class _TextPart(msgspec.Struct):
    text: str


class _ConversationMessage(msgspec.Struct):
    role: Literal["user", "assistant"]
    content: Annotated[list[_TextPart], msgspec.Meta(min_length=1)]


class _ConversationLine(msgspec.Struct, rename="camel"):
    schema_version: Literal["bedrock-conversation-2024"]
    messages: Annotated[list[_ConversationMessage], msgspec.Meta(min_length=2)]
    system: list[_TextPart] = []


class _PairLine(msgspec.Struct):
    prompt: str
    completion: str


# Decoded first: the presence of `schemaVersion` decides the layout, so that the error for an invalid row is
# about the layout that its author meant.
class _AnyLine(msgspec.Struct, rename="camel"):
    schema_version: msgspec.Raw = msgspec.Raw(b"")


def read_rows(path: Path) -> list[TrainingRow]:
    """Every row of a JSONL file, in order. Blank lines are skipped.

    Raises DataError with file and line for the first row that matches neither layout, and for a missing or
    empty file.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; the training needs it to read its rows")
    rows = list(_rows_of(path))
    if not rows:
        raise DataError(f"{path}: the file has no rows; write at least one training row to it")
    return rows


def _rows_of(path: Path) -> Iterator[TrainingRow]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield parse_row(line)
                except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
                    raise DataError(f"{path}:{number}: {error}; correct or delete this line") from error


def parse_row(line: bytes) -> TrainingRow:
    """The row in one JSON line. Raises ValueError if it matches neither layout."""
    if msgspec.json.decode(line, type=_AnyLine).schema_version:
        return _from_conversation(msgspec.json.decode(line, type=_ConversationLine))
    pair = msgspec.json.decode(line, type=_PairLine)
    return TrainingRow(asked=asking(pair.prompt), answer=_said(pair.completion))


def _from_conversation(row: _ConversationLine) -> TrainingRow:
    turns = tuple(
        TrainingTurn(role=m.role, text="\n".join(part.text for part in m.content)) for m in row.messages
    )
    expected: tuple[Literal["user", "assistant"], ...] = ("user", "assistant")
    for index, turn in enumerate(turns):
        if turn.role != expected[index % 2]:
            raise ValueError(f"message {index + 1} is the {turn.role}'s; user and assistant must take turns")
    if turns[-1].role != "assistant":
        raise ValueError("the last message is the user's; a training row ends with the assistant's answer")
    system = "\n".join(part.text for part in row.system)
    return TrainingRow(asked=TrainingPrompt(system=system, turns=turns[:-1]), answer=_said(turns[-1].text))


def _said(answer: str) -> str:
    # A model trained on empty answers learns to say nothing.
    if not answer.strip():
        raise ValueError("the answer is empty; there is nothing to learn from it")
    return answer
