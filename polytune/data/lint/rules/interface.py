"""What a lint rule is: one way in which a row can be readable and still teach the wrong thing.

    block -> rows -> Page --look()--> Finding        by each rule, in a worker process
                      `-> Met --meet()--> Finding    by rules that compare rows, in file order

Add one by writing one file here with one subclass of `Rule`; its name is the file's name, written with
dashes. Nearly every row is innocent, so a rule first asks the whole page at once: `Page.content` is all its
texts in one piece of bytes, through which a search runs at memory speed, and only a hit is looked at closely.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import ClassVar, NamedTuple

from polytune.base_models.interface import BaseModelEntry
from polytune.data.first_seen import Met
from polytune.data.reading import BadRow, Row
from polytune.formats.interface import Finding, Passage, Severity
from polytune.registry import Family

gap = b"\n\0\n"
"""What stands between two texts in a page's content."""
digits_to_zero = bytes.maketrans(b"123456789", b"000000000")
shown_around = 24


@dataclass(frozen=True)
class LintOptions:
    """What rows are judged for."""

    base_model: BaseModelEntry | None = None
    """The model that will be trained; None when that is open."""
    allow: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By rule, the ids of rows that are as they should be."""


class Hit(NamedTuple):
    """Where a pattern was found."""

    row: Row
    passage: Passage
    start: int
    """Where in the page's content."""
    end: int
    text: str

    @property
    def is_answer(self) -> bool:
        """Whether it stands in what the model will learn to say."""
        return self.passage.role == "assistant"


class Page:
    """The rows of one block, and all their texts in one piece."""

    def __init__(self, rows: Iterable[Row | BadRow]) -> None:
        self.rows: list[Row] = []
        self.bad: list[BadRow] = []
        for row in rows:
            if isinstance(row, Row):
                self.rows.append(row)
            else:
                self.bad.append(row)

    @cached_property
    def _texts(self) -> list[bytes]:
        return [passage.text.encode() for row in self.rows for passage in row.passages]

    @cached_property
    def content(self) -> bytes:
        """Every text, `gap` between."""
        return gap.join(self._texts)

    @cached_property
    def lowered(self) -> bytes:
        """The content in lower case, as far as that is ASCII; every byte stays in its place."""
        return self.content.lower()

    @cached_property
    def digits(self) -> bytes:
        """The content with 0 in the place of every digit."""
        return self.content.translate(digits_to_zero)

    @cached_property
    def _starts(self) -> list[int]:
        return list(accumulate([len(text) + len(gap) for text in self._texts], initial=0))

    @cached_property
    def _places(self) -> list[tuple[Row, Passage]]:
        return [(row, passage) for row in self.rows for passage in row.passages]

    def hits(self, pattern: re.Pattern[bytes], within: bytes | None = None) -> Iterator[Hit]:
        """Every place where the pattern fits the content, or another version of it of equal length."""
        for match in pattern.finditer(self.content if within is None else within):
            yield self.hit(match.start(), match.end())

    def hit(self, start: int, end: int = 0) -> Hit:
        """The place that goes from one byte of the content to another, or nowhere."""
        row, passage = self._places[bisect_right(self._starts, start) - 1]
        return Hit(row, passage, start, end, self.content[start:end].decode(errors="replace"))


class Rule(ABC):
    """One way in which rows go wrong."""

    name: ClassVar[str]
    severity: ClassVar[Severity]
    """That of its worst finding."""
    example: ClassVar[str]
    """A row that breaks it, in short."""
    fix: ClassVar[str]
    """What to do about it."""
    compares: ClassVar[bool] = False
    """Whether it must know the rows before."""

    def __init__(self, options: LintOptions) -> None:
        self.options = options

    def unchecked(self) -> str:
        """What the rule cannot check on this machine, with the command that installs what it needs; or ''."""
        return ""

    @abstractmethod
    def look(self, page: Page) -> Iterator[Finding]:
        """What is wrong with rows of the page, each by itself."""

    def meet(self, row: Met) -> Finding | None:
        """What is wrong with a row whose prompt was met before."""
        return None

    def found(
        self, row: Row, path: str, message: str, *, severity: Severity | None = None, fix: str = ""
    ) -> Finding:
        """A finding about one row."""
        return self.said(row.line, path, message, severity=severity, fix=fix)

    def said(
        self, line: int, path: str, message: str, *, severity: Severity | None = None, fix: str = ""
    ) -> Finding:
        """A finding about one line, with the rule's own severity and fix unless others are given."""
        return Finding(
            rule=self.name,
            severity=severity or self.severity,
            line=line,
            field=path,
            message=message,
            fix=fix or self.fix,
        )


RULES = Family("data.lint.rules", "lint rule", Rule, dashes=True)


def around(text: str, start: int, end: int) -> str:
    """A place in a text with a little of what stands beside it, on one line and in quotes."""
    left = "…" if start > shown_around else ""
    right = "…" if end + shown_around < len(text) else ""
    return f'"{left}{" ".join(text[max(0, start - shown_around) : end + shown_around].split())}{right}"'


def opening(text: str, length: int = 60) -> str:
    """The beginning of a text, on one line and in quotes."""
    words = " ".join(text[: 2 * length].split())
    return f'"{words}"' if len(words) <= length and len(text) <= 2 * length else f'"{words[:length]}…"'
