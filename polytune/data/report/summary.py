"""`stats`: summarises a file of rows in any layouts, in one streaming pass."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec

from polytune.data.first_seen import FirstSeen, row_hashes
from polytune.data.lines import blocks
from polytune.data.reading import Row, rows_in
from polytune.data.tokens import EstimatedTokens, TokenCounter

most_listed = 50
"""The number of teachers and matrix cells that are listed; the rest is summed up under `others`."""
others = "others"


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """The distribution of a number over all rows, with nearest-rank percentiles.

    A percentile is the smallest value that at least that percentage of the rows does not exceed.
    """

    total: int
    min: int
    p50: int
    p90: int
    p99: int
    max: int


class FileSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The summary of one file."""

    file: str
    bytes: int
    rows: int
    """Readable lines."""
    bad_rows: int
    """Unreadable lines; `lint` says why."""
    layouts: dict[str, int]
    """Rows in each layout, the most frequent first."""
    prompts: int
    """Distinct pairs of system prompt and prompt."""
    duplicate_rows: int
    """Rows whose prompts and answer occur earlier in the file, ignoring whitespace."""
    different_answers: int
    """Further answers to a prompt that occurs earlier in the file."""
    systems: int
    """Distinct system prompts, including ''."""
    longer_conversations: int
    """Rows with more than one exchange."""
    tokens: Distribution
    """Tokens of all texts of a row."""
    answer_tokens: Distribution
    tokens_exact: bool
    token_error: str
    """How far off token counts may be; '' when they are exact."""
    longest_row: int
    """The line with the most tokens; 0 for a file without rows."""
    scored_rows: int
    mean_score: float | None
    teachers: dict[str, int]
    """Rows by teacher, for rows that name one."""
    cells: dict[str, int]
    """Rows by matrix cell, such as `style=techno, complexity=simple`."""


class Figures:
    """A histogram of one number per row."""

    def __init__(self) -> None:
        self._rows_of: Counter[int] = Counter()

    def add(self, figures: list[int]) -> None:
        """The numbers of more rows are counted."""
        self._rows_of.update(figures)

    def distribution(self) -> Distribution:
        """The distribution over the rows so far; all 0 without rows."""
        sizes = sorted(self._rows_of)
        rows = self._rows_of.total()

        def percentile(percent: int) -> int:
            wanted, passed = -(-rows * percent // 100), 0
            for size in sizes:
                passed += self._rows_of[size]
                if passed >= wanted:
                    return size
            return 0

        return Distribution(
            total=sum(size * count for size, count in self._rows_of.items()),
            min=sizes[0] if sizes else 0,
            p50=percentile(50),
            p90=percentile(90),
            p99=percentile(99),
            max=sizes[-1] if sizes else 0,
        )


def summarise(path: Path, counter: TokenCounter | None = None) -> FileSummary:
    """The summary of a file, which is read once. Raises DataError when it cannot be read, and what the
    counter raises."""
    summing = Summing(counter or EstimatedTokens())
    for block in blocks(path):
        found = rows_in(block)
        rows = [row for row in found if isinstance(row, Row)]
        summing.add(rows, len(found) - len(rows))
    return summing.summary(path)


class Summing:
    """The running totals of a file's summary."""

    def __init__(self, counter: TokenCounter) -> None:
        self._counter = counter
        self._rows = self._bad = self._longest = self._longest_row = self._conversations = 0
        self._asked = self._duplicates = self._answers = 0
        self._layouts: Counter[str] = Counter()
        self._teachers: Counter[str] = Counter()
        self._cells: Counter[bytes] = Counter()
        self._systems: set[int] = set()
        self._tokens, self._answer_tokens = Figures(), Figures()
        self._scores: list[float] = []
        self._seen = FirstSeen()

    def add(self, rows: list[Row], bad: int) -> None:
        """The rows of one block are counted; `bad` is the number of its lines that are not rows."""
        self._rows += len(rows)
        self._bad += bad
        for row in rows:
            self._layouts[row.layout] += 1
            self._systems.add(hash(row.system))
            self._conversations += sum(passage.role == "assistant" for passage in row.passages) > 1
            if row.teacher:
                self._teachers[row.teacher] += 1
            if row.cell:
                self._cells[row.cell] += 1
            if row.score is not None:
                self._scores.append(row.score)
        self._count(rows)
        hashes = row_hashes(rows)
        self._asked += len(hashes.lines)
        for repeated in self._seen.add(hashes):
            self._duplicates += repeated.pair > 0
            self._answers += repeated.pair == 0

    def _count(self, rows: list[Row]) -> None:
        whole = self._counter.count(["\n".join([p.text for p in row.passages]) for row in rows])
        self._tokens.add(whole)
        self._answer_tokens.add(self._counter.count([row.answer for row in rows]))
        longest = max(whole, default=0)
        if longest > self._longest:
            self._longest, self._longest_row = longest, rows[whole.index(longest)].line

    def summary(self, path: Path) -> FileSummary:
        """The summary of the file that the rows came from."""
        return FileSummary(
            file=str(path),
            bytes=path.stat().st_size,
            rows=self._rows,
            bad_rows=self._bad,
            layouts=dict(self._layouts.most_common()),
            prompts=self._asked - self._duplicates - self._answers,
            duplicate_rows=self._duplicates,
            different_answers=self._answers,
            systems=len(self._systems),
            longer_conversations=self._conversations,
            tokens=self._tokens.distribution(),
            answer_tokens=self._answer_tokens.distribution(),
            tokens_exact=self._counter.exact,
            token_error=self._counter.error,
            longest_row=self._longest_row,
            scored_rows=len(self._scores),
            mean_score=round(sum(self._scores) / len(self._scores), 4) if self._scores else None,
            teachers=_listed(self._teachers),
            cells=_listed(_labelled(self._cells)),
        )


def _labelled(cells: Counter[bytes]) -> Counter[str]:
    labelled: Counter[str] = Counter()
    for written, rows in cells.items():
        cell = msgspec.json.decode(written)
        if isinstance(cell, dict) and cell:
            labelled[", ".join(f"{axis}={cell[axis]}" for axis in sorted(cell))] += rows
    return labelled


def _listed(counts: Counter[str]) -> dict[str, int]:
    listed = dict(counts.most_common(most_listed))
    left = counts.total() - sum(listed.values())
    return {**listed, others: left} if left else listed
