"""A file of prompts, one a line: plain text, or JSON of any layout that holds one.

A solo techno beat                                    text
"A solo techno beat"                                  a JSON string
{"prompt": "...", "system": "..."}                    also question, instruction, input
{"messages": [...]}                                   a training row, with or without its answer
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from polytune.data.lines import blocks
from polytune.data.reading import BadRow, prompt_keys, row_of
from polytune.errors import DataError


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the file."""

    line: int
    system: str
    """'' where the line states none."""
    prompt: str


def read_prompts(path: Path) -> list[Prompt]:
    """Every prompt of the file, blank lines left out. Raises DataError with the place of a bad line."""
    lines = ((block.first + place, line) for block in blocks(path) for place, line in enumerate(block.lines))
    found = [_prompt(path, number, line.strip()) for number, line in lines if line.strip()]
    if not found:
        raise DataError(f"{path}: holds no prompts")
    return found


def _prompt(path: Path, number: int, line: bytes) -> Prompt:
    if line[:1] not in (b'"', b"{"):
        return Prompt(line=number, system="", prompt=_decoded(path, number, line))
    try:
        value = msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        raise DataError(f"{path}:{number}: not JSON: {error}") from error
    if isinstance(value, str):
        return Prompt(line=number, system="", prompt=value)
    row = row_of(line, number)
    if not isinstance(row, BadRow):
        return Prompt(line=number, system=row.system, prompt=row.prompt)
    return _asked_only(path, number, value, row)


def _decoded(path: Path, number: int, line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}:{number}: byte {error.start + 1} is not UTF-8") from error


def _asked_only(path: Path, number: int, value: Mapping[str, Any], row: BadRow) -> Prompt:
    """A line without an answer: given one, it reads as any training row."""
    messages = value.get("messages")
    if isinstance(messages, list) and messages:
        content = [{"text": "-"}] if isinstance(messages[-1].get("content"), list) else "-"
        whole = {**value, "messages": [*messages, {"role": "assistant", "content": content}]}
    elif any(isinstance(value.get(key), str) for key in prompt_keys):
        whole = {**value, "completion": "-"}
    else:
        raise DataError(f"{path}:{number}: {row.path or 'the line'}: {row.reason}. {row.fix}")
    read = row_of(msgspec.json.encode(whole), number)
    if isinstance(read, BadRow):
        raise DataError(f"{path}:{number}: {read.path or 'the line'}: {read.reason}. {read.fix}")
    return Prompt(line=number, system=read.system, prompt=read.prompt)
