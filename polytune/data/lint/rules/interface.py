"""The interface of lint rules: each finds one way in which a readable row teaches the wrong thing.

    LintBlock --check()--> Finding                   by each rule, in a worker process
    RepeatedPrompt --check_repeated()--> Finding     by rules that compare rows, in file order

To add one, write one file here with one subclass of `Rule`; its name is the file's name, with dashes. Nearly
every row is fine, so a rule first searches the whole block at once: `LintBlock.content` is all its texts as
one piece of bytes, which a regular expression scans quickly. Only hits are examined further.
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
from polytune.data.first_seen import RepeatedPrompt
from polytune.data.reading import BadRow, Row
from polytune.formats.interface import Finding, Passage, Severity
from polytune.registry import Family

gap = b"\n\0\n"
"""Separates two texts in a block's content; the NUL byte keeps patterns from matching across it."""
digits_to_zero = bytes.maketrans(b"123456789", b"000000000")
shown_around = 24


@dataclass(frozen=True)
class LintOptions:
    """What rows are linted for."""

    base_model: BaseModelEntry | None = None
    """The model that will be trained; None when it is not known yet."""
    allow: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By rule, the ids of rows whose findings are left out."""


class Hit(NamedTuple):
    """Where a pattern was found."""

    row: Row
    passage: Passage
    start: int
    """The offset in the block's content."""
    end: int
    text: str

    @property
    def is_answer(self) -> bool:
        """Whether it is in an answer, which the model will learn."""
        return self.passage.role == "assistant"


class LintBlock:
    """The rows of one block, and all their texts as one piece."""

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
        """Every text, separated by `gap`."""
        return gap.join(self._texts)

    @cached_property
    def lowered(self) -> bytes:
        """The content with ASCII letters in lower case; offsets stay the same."""
        return self.content.lower()

    @cached_property
    def digits(self) -> bytes:
        """The content with every digit replaced by 0."""
        return self.content.translate(digits_to_zero)

    @cached_property
    def _starts(self) -> list[int]:
        return list(accumulate([len(text) + len(gap) for text in self._texts], initial=0))

    @cached_property
    def _places(self) -> list[tuple[Row, Passage]]:
        return [(row, passage) for row in self.rows for passage in row.passages]

    def hits(self, pattern: re.Pattern[bytes], within: bytes | None = None) -> Iterator[Hit]:
        """Every match of the pattern in the content, or in `within`, a version of it of equal length."""
        for match in pattern.finditer(self.content if within is None else within):
            yield self.hit(match.start(), match.end())

    def hit(self, start: int, end: int = 0) -> Hit:
        """The row and passage at an offset in the content."""
        row, passage = self._places[bisect_right(self._starts, start) - 1]
        return Hit(row, passage, start, end, self.content[start:end].decode(errors="replace"))


class Rule(ABC):
    """One kind of problem that rows can have."""

    name: ClassVar[str]
    severity: ClassVar[Severity]
    """The severity of its worst finding."""
    example: ClassVar[str]
    """A shortened row that violates it."""
    fix: ClassVar[str]
    """How to fix it."""
    compares: ClassVar[bool] = False
    """Whether it compares rows with earlier ones."""

    def __init__(self, options: LintOptions) -> None:
        self.options = options

    def unchecked(self) -> str:
        """What the rule cannot check without a package, with the command that installs it; '' for nothing."""
        return ""

    @abstractmethod
    def check(self, block: LintBlock) -> Iterator[Finding]:
        """The findings in the rows of the block, each row taken by itself."""

    def check_repeated(self, row: RepeatedPrompt) -> Finding | None:
        """The finding for a row whose prompt was seen before; None for none."""
        return None

    def finding(
        self, row: Row, path: str, message: str, *, severity: Severity | None = None, fix: str = ""
    ) -> Finding:
        """A finding about one row."""
        return self.finding_at(row.line, path, message, severity=severity, fix=fix)

    def finding_at(
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


RULES = Family("data.lint.rules", "lint rule", Rule, dashes=True, group="lint_rules")


def around(text: str, start: int, end: int) -> str:
    """A part of a text with some context, on one line and in quotes."""
    left = "…" if start > shown_around else ""
    right = "…" if end + shown_around < len(text) else ""
    return f'"{left}{" ".join(text[max(0, start - shown_around) : end + shown_around].split())}{right}"'


def opening(text: str, length: int = 60) -> str:
    """The beginning of a text, on one line and in quotes."""
    words = " ".join(text[: 2 * length].split())
    return f'"{words}"' if len(words) <= length and len(text) <= 2 * length else f'"{words[:length]}…"'
