"""`lint`: checks a file's rows against every rule, in one streaming pass with worker processes.

    LineBlock --BlockLinter--> LintedBlock --Lint--> findings in line order
                by worker processes        in file order

Only hashes of each row are kept; findings are yielded as they are found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from polytune.data.first_seen import FirstSeen, RowHashes, row_hashes
from polytune.data.lines import LineBlock
from polytune.data.lint.rules.interface import RULES, LintBlock, LintOptions, Rule
from polytune.data.reading import rows_in
from polytune.data.workers import WorkerPool, workers_for
from polytune.formats.interface import Finding


class RowFinding(msgspec.Struct, frozen=True):
    """A finding, and the row it is about."""

    finding: Finding
    row: str
    """The row's id, as used in `allow`; '' for a line that is not a row, or when ids are not needed."""


@dataclass(frozen=True, slots=True)
class LintedBlock:
    """The findings in one block of rows."""

    rows: int
    """The number of lines, including blank and bad ones."""
    allowed: int
    """The number of findings left out because their rows are allowed."""
    findings: list[RowFinding]
    hashes: RowHashes | None
    ids: dict[int, str]
    """The id of every row by line number, if rows are allowed for a rule that compares rows."""


class BlockLinter:
    """Lints the blocks of a file independently of each other."""

    def __init__(self, rules: Sequence[Rule], options: LintOptions) -> None:
        self.rules = [rule for rule in rules if not rule.compares]
        self.compares = any(rule.compares for rule in rules)
        self.allow = options.allow
        self.names_rows = any(rule.compares and options.allow.get(rule.name) for rule in rules)

    def __call__(self, block: LineBlock) -> LintedBlock:
        """The findings in the block, from the rules that look at one row at a time."""
        rows_read = LintBlock(rows_in(block))
        findings = [finding for rule in self.rules for finding in rule.check(rows_read)]
        # An id costs a hash of the whole row, so it is computed only for rows with findings.
        rows = {row.line: row for row in rows_read.rows} if findings else {}
        found = [RowFinding(each, rows[each.line].key if each.line in rows else "") for each in findings]
        kept = [each for each in found if each.row not in self.allow.get(each.finding.rule, ())]
        return LintedBlock(
            rows=len(rows_read.rows) + len(rows_read.bad),
            allowed=len(found) - len(kept),
            findings=kept,
            hashes=row_hashes(rows_read.rows) if self.compares else None,
            ids={row.line: row.key for row in rows_read.rows} if self.names_rows else {},
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
        """Uses all rules unless some are named. Raises UnknownMember for an unknown one.

        `workers` is the number of processes; None starts as many as are worthwhile.
        """
        self.path = path
        self.options = options or LintOptions()
        self.rules = [RULES.load(name)(self.options) for name in rules or RULES.names()]
        # A misspelled rule in `allow` would otherwise allow nothing, without a word.
        for name in self.options.allow:
            RULES.load(name)
        self._comparing = [rule for rule in self.rules if rule.compares]
        self._seen = FirstSeen()
        self._workers = workers
        self.rows = 0
        """The number of lines linted so far."""
        self.allowed = 0
        """The number of findings left out because their rows are allowed."""
        self.errors = 0
        self.warnings = 0

    @property
    def unchecked(self) -> dict[str, str]:
        """By rule, what is not checked because a package is not installed, and how to install it."""
        return {rule.name: what for rule in self.rules if (what := rule.unchecked())}

    def __iter__(self) -> Iterator[RowFinding]:
        """Every finding, in line order. Raises DataError when the file cannot be read."""
        linter = BlockLinter(self.rules, self.options)
        workers = workers_for([self.path]) if self._workers is None else self._workers
        with WorkerPool(workers) as pool:
            for linted in pool.results(self.path, linter):
                self.rows += linted.rows
                self.allowed += linted.allowed
                found = [*linted.findings, *self._compared(linted)]
                found.sort(key=lambda each: (each.finding.line, each.finding.rule))
                for each in found:
                    self._count(each)
                    yield each

    def _compared(self, linted: LintedBlock) -> Iterator[RowFinding]:
        if linted.hashes is None:
            return
        for repeated in self._seen.add(linted.hashes):
            for rule in self._comparing:
                finding = rule.check_repeated(repeated)
                if finding is None:
                    continue
                row = linted.ids.get(finding.line, "")
                if row in self.options.allow.get(rule.name, ()):
                    self.allowed += 1
                else:
                    yield RowFinding(finding, row)

    def _count(self, found: RowFinding) -> None:
        if found.finding.severity == "error":
            self.errors += 1
        else:
            self.warnings += 1


def as_json(found: RowFinding) -> Mapping[str, object]:
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
