"""Converts rows of other tools' files to any training layout, one row at a time.

file --lines--> Conversation --encode--> line of the layout, checked by its own rules
                      `--> RefusedRow: the line, the place in it, why, and what to do

chat, prompt/completion    JSON lines in any layout that `reading` knows, also gzipped
csv                        a header names the columns
invocation-logs            Bedrock's model invocation logs: gzipped JSON lines
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from polytune.data.reading import BadRow, answer_keys, conversation_of_row, prompt_keys, row_of
from polytune.errors import DataError
from polytune.formats.interface import Conversation, Format, Turn
from polytune.sources._invocation_record import NotConvertible, conversation_of
from polytune.sources._lines import numbered_lines

ImportOrigin = Literal[
    "openai-chat", "prompt-completion", "anthropic", "bedrock", "samples", "csv", "invocation-logs"
]
chats = ("openai-chat", "anthropic-messages", "bedrock-conversation-2024")
layouts: Mapping[ImportOrigin, tuple[str, ...]] = {
    "openai-chat": chats,
    "anthropic": chats,
    "bedrock": chats,
    "prompt-completion": ("prompt-completion", "prompt-answer"),
    "samples": ("polytune-samples",),
}
"""The layouts of `reading` accepted for each origin: chat rows do not always show which tool wrote them."""
log_endings = (".gz", ".json", ".jsonl")
# csv's own limit of 128 KiB is too small for long prompts.
longest_cell = 64 << 20


class RefusedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that was left out."""

    file: str
    line: int
    path: str
    """The place in the row; '' for the whole row."""
    reason: str
    fix: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " + (f"{self.path}: " if self.path else "")
        return f"{where}{self.reason}. {self.fix}".rstrip()


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """The columns of a CSV file; '' finds a column by its usual names."""

    prompt: str = ""
    answer: str = ""
    system: str = ""


def imported(
    paths: Sequence[Path], origin: ImportOrigin, layout: Format, columns: Columns | None = None
) -> Iterator[bytes | RefusedRow]:
    """Each row as a line of the layout, without its newline, or the reason why it was left out; in order.

    A folder means all logs in it. Raises DataError for a file that cannot be read at all.
    """
    for path in _files(paths, origin):
        for number, found in _rows(path, origin, columns or Columns()):
            yield _encoded(path, number, found, layout)


def _files(paths: Sequence[Path], origin: ImportOrigin) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(each for each in path.rglob("*") if each.name.endswith(log_endings))
        if origin != "invocation-logs" or not found:
            what = "holds no logs (.gz, .json, .jsonl)" if origin == "invocation-logs" else "is a folder"
            raise DataError(f"{path}: {what}. Name the files.")
        yield from found


def _rows(path: Path, origin: ImportOrigin, columns: Columns) -> Iterator[tuple[int, Conversation | BadRow]]:
    if origin == "csv":
        yield from _table(path, columns)
        return
    for number, line in numbered_lines(path, str(path)):
        yield number, _logged(line, number) if origin == "invocation-logs" else _row(line, number, origin)


def _row(line: bytes, number: int, origin: ImportOrigin) -> Conversation | BadRow:
    row = row_of(line, number)
    if isinstance(row, BadRow):
        return row
    if row.layout not in layouts[origin]:
        what = f"the row looks like {row.layout}, not like {origin}"
        return _bad(number, "", what, "Name what the file is with --from.")
    if row.other:
        what = "the row has content other than text (images, tool calls), which is not converted"
        return _bad(number, "", what, "Leave it in its own layout, or take the content out.")
    return conversation_of_row(row)


def _logged(line: bytes, number: int) -> Conversation | BadRow:
    try:
        return conversation_of(line)
    except NotConvertible as error:
        return _bad(number, error.path, error.reason, error.fix)


def _table(path: Path, columns: Columns) -> Iterator[tuple[int, Conversation | BadRow]]:
    csv.field_size_limit(longest_cell)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _records(file, path, columns)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}. Save it as UTF-8.") from error


def _records(
    file: Iterable[str], path: Path, columns: Columns
) -> Iterator[tuple[int, Conversation | BadRow]]:
    rows = csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ",", strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
        places = _places(path, header, columns)
        # A quoted cell may span lines: a row's number is the line after the one where the previous row ended.
        number = rows.line_num + 1
        for cells in rows:
            if cells:
                yield number, _cells(cells, header, places, number)
            number = rows.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}:{rows.line_num}: not CSV: {error}. Quote the cell, or fix it.") from error


def _places(path: Path, header: Sequence[str], columns: Columns) -> dict[str, int]:
    """The column numbers of prompt, answer and system. Raises DataError when a column is missing."""
    found = {}
    known = {"prompt": prompt_keys, "answer": answer_keys, "system": ("system", "system_prompt")}
    lowered = [name.lower() for name in header]
    for part, usual in known.items():
        stated = getattr(columns, part)
        if stated and stated not in header:
            raise DataError(f"{path}: no column '{stated}'. It has: {', '.join(header)}.")
        place = header.index(stated) if stated else _first(lowered, usual)
        if place is not None:
            found[part] = place
        elif part != "system":
            what = f"no column for the {part} among {', '.join(header) or 'none'}"
            raise DataError(f"{path}: {what}. Name it with --{part}-column.")
    return found


def _first(header: Sequence[str], names: Sequence[str]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _cells(
    cells: Sequence[str], header: Sequence[str], places: Mapping[str, int], number: int
) -> Conversation | BadRow:
    if len(cells) != len(header):
        what = f"{len(cells)} cells; the header has {len(header)}"
        return _bad(number, "", what, "Quote cells that hold a comma or a newline.")
    texts = {part: cells[place] for part, place in places.items()}
    for part in ("prompt", "answer"):
        if not texts[part].strip():
            return _bad(number, header[places[part]], "the cell is empty", "Fill it, or drop the row.")
    turns = (Turn("user", texts["prompt"]), Turn("assistant", texts["answer"]))
    return Conversation(texts.get("system") or None, turns)


def _encoded(path: Path, number: int, found: Conversation | BadRow, layout: Format) -> bytes | RefusedRow:
    """The row's line in the layout, if the layout's own rules accept it; otherwise the reason."""
    if isinstance(found, BadRow):
        bad = (found.path, found.reason, found.fix)
    else:
        try:
            line = layout.encode(found)
        except DataError as error:
            bad = ("", str(error).rstrip("."), "")
        else:
            if layout.clean(line) is not None:
                return line
            errors = [each for each in layout.check(line, number).findings if each.severity == "error"]
            if not errors:
                return line
            bad = (errors[0].field, errors[0].message, errors[0].fix)
    return RefusedRow(file=str(path), line=number, path=bad[0], reason=bad[1], fix=bad[2])


def _bad(line: int, path: str, reason: str, fix: str) -> BadRow:
    return BadRow(line=line, path=path, reason=reason, fix=fix)
