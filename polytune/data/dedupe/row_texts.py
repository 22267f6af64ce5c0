"""The rows of a file as a sequence of texts that are read on demand, not kept in memory.

Only each row's place in the file is kept, start and end in 8 bytes each; iterating reads the file once.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, overload

from polytune.data.lines import blocks
from polytune.data.reading import BadRow, Row, row_of, rows_in
from polytune.errors import DataError

Part = Literal["row", "prompt", "answer"]
"""The part of a row that is compared: prompt and answer together, or one of them; never the system prompt."""


def text_of(row: Row | BadRow, part: Part) -> str:
    """That part of a row; '' for a line that is not a row."""
    if isinstance(row, BadRow):
        return ""
    if part == "row":
        return f"{row.prompt}\n{row.answer}"
    return row.prompt if part == "prompt" else row.answer


class RowTexts(Sequence[str]):
    """One part of every row of a file, in order; lines that are not rows count as empty."""

    def __init__(self, path: Path, part: Part = "row") -> None:
        """Raises DataError when the file cannot be read."""
        self.path = path
        self.part = part
        self._starts = array("q")
        self._ends = array("q")
        at = 0
        for block in blocks(path):
            for line in block.lines:
                self._starts.append(at)
                at += len(line) + 1
                self._ends.append(at - 1)

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[str]:
        for block in blocks(self.path):
            for row in rows_in(block):
                yield text_of(row, self.part)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        return text_of(row_of(self.line(index), index + 1), self.part)

    def line(self, number: int) -> bytes:
        """The line of a row, by its number from 0, without the newline."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._starts[number])
                return file.read(self._ends[number] - self._starts[number])
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read: {error.strerror}. Check the path.") from error


class Joined(Sequence[str]):
    """Several sequences of texts, concatenated."""

    def __init__(self, *parts: Sequence[str]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[str]:
        for each in self._parts:
            yield from each

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        for each in self._parts:
            if index < len(each):
                return each[index]
            index -= len(each)
        raise IndexError(index)
