"""Turns rows into records: rows in any known layout, and rows whose fields the spec names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from polytune.data.reading import BadRow, Row, answer_keys, conversation_of_row, prompt_keys, row_of
from polytune.formats.interface import Conversation, Turn, kind_of, shown, unreadable
from polytune.sources.interface import BadRecord, Found, Record
from polytune.spec.model import Spec

usual: Mapping[str, tuple[str, ...]] = {
    "prompt": prompt_keys,
    "answer": answer_keys,
    "system": ("system", "system_prompt"),
    "rating": ("rating", "score"),
    "teacher": ("teacher", "model"),
}
"""The usual keys for each part of a record, the most likely one first."""


class FieldsSpec(Spec):
    """The keys or columns of the parts of a record; use dots for nested objects."""

    prompt: str = ""
    """The question. Default: `prompt`, `question`, `instruction`, `input` or `query`."""
    answer: str = ""
    """The answer. Default: `completion`, `answer`, `response`, `output`, `target` or similar."""
    system: str = ""
    """The system prompt. Default: `system` or `system_prompt`."""
    rating: str = ""
    """The rating. Default: `rating` or `score`."""
    teacher: str = ""
    """Who wrote the answer. Default: `teacher` or `model`."""

    @property
    def stated(self) -> bool:
        """Whether any field is set."""
        return any((self.prompt, self.answer, self.system, self.rating, self.teacher))


@dataclass(frozen=True)
class At:
    """A place in a source."""

    file: str
    line: int

    def bad(self, path: str, reason: str, fix: str) -> BadRecord:
        """A record at this place that cannot be used."""
        return BadRecord(file=self.file, line=self.line, path=path, reason=reason, fix=fix)


def record_of_line(line: bytes, at: At, fields: FieldsSpec) -> Found:
    """The record on a line of JSON, in any known layout or with the given fields."""
    if not fields.stated:
        return record_of_row(row_of(line, at.line), at)
    value = object_of(line, at)
    return value if isinstance(value, BadRecord) else record_of_object(value, at, fields)


def object_of(line: bytes, at: At) -> dict[str, Any] | BadRecord:
    """The JSON object on a line."""
    wrong = unreadable(line, at.line)
    if wrong is not None:
        return at.bad("", wrong.message, wrong.fix)
    value = msgspec.json.decode(line)
    if isinstance(value, dict):
        return value
    return at.bad("", f"expected an object, found {kind_of(value)}", "Write one JSON object on the line.")


def record_of_row(row: Row | BadRow, at: At) -> Found:
    """The record in a row that `reading` has read."""
    if isinstance(row, BadRow):
        return at.bad(row.path, row.reason, row.fix)
    if row.other:
        fix = "Leave it out, or give the file to a `dataset` step, which keeps rows as they are."
        return at.bad("", "has content other than text (images, tool calls)", fix)
    said = conversation_of_row(row)
    return record_of_conversation(said, at, rating=row.score, teacher=row.teacher)


def record_of_conversation(
    said: Conversation, at: At, *, rating: float | None = None, teacher: str = ""
) -> Found:
    """The record in a conversation, whose last two turns must be the question and its answer."""
    if len(said.turns) < 2 or said.turns[-2].role != "user" or said.turns[-1].role != "assistant":
        return at.bad("", "no question with an answer", "Give a question of the user and its answer.")
    *earlier, question, answer = said.turns
    for part, turn in (("prompt", question), ("answer", answer)):
        if not turn.text.strip():
            return at.bad("", f"the {part} is empty", "Fill it, or leave the record out.")
    return Record(
        file=at.file,
        line=at.line,
        prompt=question.text,
        answer=answer.text,
        system=said.system or "",
        earlier=tuple(earlier),
        rating=rating,
        teacher=teacher,
    )


def record_of_object(value: Mapping[str, Any], at: At, fields: FieldsSpec) -> Found:
    """The record in an object or table row, with its parts under the spec's keys or the usual ones."""
    texts: dict[str, str] = {}
    for part in ("prompt", "answer", "system", "teacher"):
        place, found = part_of(value, part, fields)
        if found is None and part in ("prompt", "answer"):
            return at.bad(place, f"there is no {part}", f"Name its field: `fields: {{{part}: ...}}`.")
        if found is not None and not isinstance(found, str):
            if part != "answer":
                return at.bad(place, f"expected text, found {kind_of(found)}", "Write a string.")
            # An answer may be JSON that the model must produce: it is kept as JSON text.
            found = msgspec.json.encode(found).decode()
        texts[part] = found or ""
    _, rating = part_of(value, "rating", fields)
    said = Conversation(
        texts["system"] or None, (Turn("user", texts["prompt"]), Turn("assistant", texts["answer"]))
    )
    number = float(rating) if isinstance(rating, int | float) and not isinstance(rating, bool) else None
    return record_of_conversation(said, at, rating=number, teacher=texts["teacher"])


def part_of(value: Mapping[str, Any], part: str, fields: FieldsSpec) -> tuple[str, Any]:
    """The key of a part of a record, and its value; None when it is absent."""
    stated: str = getattr(fields, part)
    for place in (stated,) if stated else usual[part]:
        found = _at(value, place)
        if found is not None:
            return place, found
    return stated, None


def lacking_columns(columns: Iterable[str], fields: FieldsSpec) -> str:
    """A message about the first part of a record without a column in a table; '' when none is missing."""
    names = list(columns)
    for part in usual:
        stated: str = getattr(fields, part)
        if stated and stated.partition(".")[0] not in names and stated not in names:
            return f"no column '{shown(stated)}' for the {part}; there are {', '.join(names)}"
        if not stated and part in ("prompt", "answer") and not set(usual[part]) & set(names):
            return f"no column for the {part} among {', '.join(names)}; name it: `fields: {{{part}: ...}}`"
    return ""


def _at(value: Any, place: str) -> Any:
    """The value under a key, or under a path of keys and list indices."""
    # A key that contains a dot itself takes precedence over a path.
    if isinstance(value, Mapping) and place in value:
        return value[place]
    for key in place.split("."):
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value
