"""Rows of any known layout, and of layouts whose fields a spec names, as records."""

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
"""Where each part of a record usually stands, the likeliest place first."""


class FieldsSpec(Spec):
    """Where the parts of a record stand, by key or column; a dot leads into nested objects."""

    prompt: str = ""
    """The question; `prompt`, `question`, `instruction`, `input` or `query` when not stated."""
    answer: str = ""
    """The answer; `completion`, `answer`, `response`, `output`, `target` and the like when not stated."""
    system: str = ""
    """The system prompt; `system` or `system_prompt` when not stated."""
    rating: str = ""
    """The judgement; `rating` or `score` when not stated."""
    teacher: str = ""
    """Who answered; `teacher` or `model` when not stated."""

    @property
    def stated(self) -> bool:
        """Whether any field is named."""
        return any((self.prompt, self.answer, self.system, self.rating, self.teacher))


@dataclass(frozen=True)
class At:
    """A place in a source."""

    file: str
    line: int

    def bad(self, path: str, reason: str, fix: str) -> BadRecord:
        """A record there that cannot be used."""
        return BadRecord(file=self.file, line=self.line, path=path, reason=reason, fix=fix)


def record_of_line(line: bytes, at: At, fields: FieldsSpec) -> Found:
    """The record on a line of JSON: of any known layout, or with the fields that are named."""
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
    """A row that `reading` has read."""
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
    """A conversation whose last two turns are the question and its answer."""
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
    """The record in an object or a table's row, its parts where the spec says or where they usually are."""
    texts: dict[str, str] = {}
    for part in ("prompt", "answer", "system", "teacher"):
        place, found = part_of(value, part, fields)
        if found is None and part in ("prompt", "answer"):
            return at.bad(place, f"there is no {part}", f"Name its field: `fields: {{{part}: ...}}`.")
        if found is not None and not isinstance(found, str):
            if part != "answer":
                return at.bad(place, f"expected text, found {kind_of(found)}", "Write a string.")
            found = msgspec.json.encode(found).decode()
        texts[part] = found or ""
    _, rating = part_of(value, "rating", fields)
    said = Conversation(
        texts["system"] or None, (Turn("user", texts["prompt"]), Turn("assistant", texts["answer"]))
    )
    number = float(rating) if isinstance(rating, int | float) and not isinstance(rating, bool) else None
    return record_of_conversation(said, at, rating=number, teacher=texts["teacher"])


def part_of(value: Mapping[str, Any], part: str, fields: FieldsSpec) -> tuple[str, Any]:
    """Where a part of a record stands and what stands there; None for nothing."""
    stated: str = getattr(fields, part)
    for place in (stated,) if stated else usual[part]:
        found = _at(value, place)
        if found is not None:
            return place, found
    return stated, None


def lacking_columns(columns: Iterable[str], fields: FieldsSpec) -> str:
    """Which part of a record has no column in a table, and the columns there are; '' when none lacks."""
    names = list(columns)
    for part in usual:
        stated: str = getattr(fields, part)
        if stated and stated.partition(".")[0] not in names and stated not in names:
            return f"no column '{shown(stated)}' for the {part}; there are {', '.join(names)}"
        if not stated and part in ("prompt", "answer") and not set(usual[part]) & set(names):
            return f"no column for the {part} among {', '.join(names)}; name it: `fields: {{{part}: ...}}`"
    return ""


def _at(value: Any, place: str) -> Any:
    """What stands under a key, or under a path of keys and positions."""
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
