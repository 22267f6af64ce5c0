"""`lint`: a file's rows against every rule, in one streaming pass by worker processes.

    block --Linting--> Looked: findings, hashes --Lint--> findings in line order
             by worker processes        in order

Nothing is kept of a row but its hashes; findings are handed on as they are found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from polytune.data.first_seen import Firsts, RowHashes, row_hashes
from polytune.data.lines import LineBlock
from polytune.data.lint.rules.interface import RULES, LintOptions, Page, Rule
from polytune.data.reading import rows_in
from polytune.data.workers import WorkerPool, workers_for
from polytune.formats.interface import Finding


class Found(msgspec.Struct, frozen=True):
    """A finding, and the row it is about."""

    finding: Finding
    row: str
    """The row's id, as `allow` names it; '' for a line that is no row, or where nobody asked."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a block of rows comes to."""

    rows: int
    """Lines, blank ones and bad ones included."""
    allowed: int
    """Findings left out because their rows are allowed."""
    findings: list[Found]
    hashes: RowHashes | None
    ids: dict[int, str]
    """The id of every row by its line, where some rule that compares rows allows any."""


class Linting:
    """Lints the blocks of a file, each by itself."""

    def __init__(self, rules: Sequence[Rule], options: LintOptions) -> None:
        self.rules = [rule for rule in rules if not rule.compares]
        self.compares = any(rule.compares for rule in rules)
        self.allow = options.allow
        self.names_rows = any(rule.compares and options.allow.get(rule.name) for rule in rules)

    def __call__(self, block: LineBlock) -> Looked:
        """The block's rows, each judged by itself."""
        page = Page(rows_in(block))
        findings = [finding for rule in self.rules for finding in rule.look(page)]
        rows = {row.line: row for row in page.rows} if findings else {}
        found = [Found(each, rows[each.line].key if each.line in rows else "") for each in findings]
        kept = [each for each in found if each.row not in self.allow.get(each.finding.rule, ())]
        return Looked(
            rows=len(page.rows) + len(page.bad),
            allowed=len(found) - len(kept),
            findings=kept,
            hashes=row_hashes(page.rows) if self.compares else None,
            ids={row.line: row.key for row in page.rows} if self.names_rows else {},
        )


class Lint:
    """The lint of one file: iterate over it once, then read the counts."""

    def __init__(
        self,
        path: Path,
        options: LintOptions | None = None,
        rules: Sequence[str] = (),
        *,
        workers: int | None = None,
    ) -> None:
        """All rules unless some are named. Raises UnknownMember for an unknown one.

        `workers` is the number of processes; None for as many as pay.
        """
        self.path = path
        self.options = options or LintOptions()
        self.rules = [RULES.load(name)(self.options) for name in rules or RULES.names()]
        for name in self.options.allow:
            RULES.load(name)
        self._comparing = [rule for rule in self.rules if rule.compares]
        self._firsts = Firsts()
        self._workers = workers
        self.rows = 0
        """Lines looked at so far."""
        self.allowed = 0
        """Findings left out because their rows are allowed."""
        self.errors = 0
        self.warnings = 0

    @property
    def unchecked(self) -> dict[str, str]:
        """By rule, what is not checked because this machine lacks a package, and how to install it."""
        return {rule.name: what for rule in self.rules if (what := rule.unchecked())}

    def __iter__(self) -> Iterator[Found]:
        """Every finding, in line order. Raises DataError when the file cannot be read."""
        linting = Linting(self.rules, self.options)
        workers = workers_for([self.path]) if self._workers is None else self._workers
        with WorkerPool(workers) as pool:
            for looked in pool.results(self.path, linting):
                self.rows += looked.rows
                self.allowed += looked.allowed
                found = [*looked.findings, *self._compared(looked)]
                found.sort(key=lambda each: (each.finding.line, each.finding.rule))
                for each in found:
                    self._count(each)
                    yield each

    def _compared(self, looked: Looked) -> Iterator[Found]:
        if looked.hashes is None:
            return
        for met in self._firsts.meet(looked.hashes):
            for rule in self._comparing:
                finding = rule.meet(met)
                if finding is None:
                    continue
                row = looked.ids.get(finding.line, "")
                if row in self.options.allow.get(rule.name, ()):
                    self.allowed += 1
                else:
                    yield Found(finding, row)

    def _count(self, found: Found) -> None:
        if found.finding.severity == "error":
            self.errors += 1
        else:
            self.warnings += 1


def as_json(found: Found) -> Mapping[str, object]:
    """A finding as `lint --json` prints it."""
    finding = found.finding
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "line": finding.line,
        "path": finding.field,
        "message": finding.message,
        "fix": finding.fix,
    }
