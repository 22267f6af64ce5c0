"""The report of `validate`: findings grouped by rule, as a short text for the terminal and as full JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

from polytune.data.validate.statistics import SplitStatistics
from polytune.formats.interface import Finding, Severity

examples_kept = 10
shown_message = 100


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One place where a rule was violated."""

    split: str
    file: str
    line: int
    """0 for the whole file."""
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file or "dataset"
        message = self.message if len(self.message) <= shown_message else self.message[:shown_message] + "…"
        return f"{place}: {self.field}: {message}" if self.field else f"{place}: {message}"


class FindingGroup(msgspec.Struct, frozen=True, kw_only=True):
    """All findings of one rule."""

    rule: str
    severity: Severity
    count: int
    fix: str
    """How to fix the first one."""
    examples: tuple[Example, ...]
    """The first few, in file order."""


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """The findings in a dataset, and its statistics."""

    base_model: str
    format: str
    errors: int
    """Findings that stop the pipeline."""
    warnings: int
    token_estimate: str
    """How tokens were counted."""
    splits: tuple[SplitStatistics, ...]
    groups: tuple[FindingGroup, ...]
    """Errors first, the most frequent first."""

    @property
    def passed(self) -> bool:
        """Whether the pipeline may continue with the dataset."""
        return not self.errors


class Tally:
    """Counts findings by rule; keeps only the first few of each."""

    def __init__(self) -> None:
        self._counts: dict[tuple[Severity, str], int] = {}
        self._fixes: dict[tuple[Severity, str], str] = {}
        self._examples: dict[tuple[Severity, str], list[Example]] = {}

    def add(self, finding: Finding, split: str = "", file: str = "") -> None:
        """The finding has been counted, for a split's file or the whole dataset."""
        key = (finding.severity, finding.rule)
        self._counts[key] = self._counts.get(key, 0) + 1
        self._fixes.setdefault(key, finding.fix)
        examples = self._examples.setdefault(key, [])
        if len(examples) < examples_kept:
            place = {"line": finding.line, "field": finding.field, "message": finding.message}
            examples.append(msgspec.convert({"split": split, "file": file, **place}, Example))

    def merge(self, later: Tally) -> None:
        """The findings of a later part of the data are counted too."""
        for key, count in later._counts.items():
            self._counts[key] = self._counts.get(key, 0) + count
            self._fixes.setdefault(key, later._fixes[key])
            examples = self._examples.setdefault(key, [])
            examples += later._examples[key][: examples_kept - len(examples)]

    def count(self, severity: Severity) -> int:
        """The number of findings of a severity."""
        return sum(count for (kind, _), count in self._counts.items() if kind == severity)

    def groups(self) -> tuple[FindingGroup, ...]:
        """All groups: errors first, then by count, then by name."""
        # "error" sorts before "warning".
        keys = sorted(self._counts, key=lambda key: (key[0], -self._counts[key], key[1]))
        return tuple(
            FindingGroup(
                rule=rule,
                severity=severity,
                count=self._counts[severity, rule],
                fix=self._fixes[severity, rule],
                examples=tuple(self._examples[severity, rule]),
            )
            for severity, rule in keys
        )


def to_json(report: CheckReport) -> bytes:
    """The whole report as JSON for readers and for diff: sorted, indented, deterministic."""
    content = json.dumps(msgspec.to_builtins(report), sort_keys=True, indent=2, ensure_ascii=False)
    return content.encode() + b"\n"


def render(report: CheckReport, limit: int = 20, *, everything: str = "validation.json") -> list[str]:
    """The report in at most `limit` lines: one line per split, the groups that fit, the verdict.

    `everything` names the file with the groups that do not fit.
    """
    lines = _table([_cells(split) for split in report.splits])
    room = limit - len(lines) - 1
    found = [line for group in report.groups for line in _group(group)]
    if len(found) > room:
        fit = max(0, (room - 1) // 2)
        left = sum(group.count for group in report.groups[fit:])
        found = [line for group in report.groups[:fit] for line in _group(group)]
        found.append(f"… and {left:,} more findings of {len(report.groups) - fit} more rules in {everything}")
    return [*lines, *found[: max(0, room)], _verdict(report)][-limit:]


def _cells(split: SplitStatistics) -> list[str]:
    tokens = split.tokens
    return [
        split.split,
        f"{split.rows:,} row{'s' * (split.rows != 1)}",
        f"{split.bytes / 1e6:,.1f} MB" if split.bytes >= 1e6 else f"{split.bytes / 1e3:,.1f} kB",
        f"~{tokens.total:,} tokens",
        f"per row p50 ~{tokens.p50:,}",
        f"p90 ~{tokens.p90:,}",
        f"p99 ~{tokens.p99:,}",
        f"max ~{tokens.max:,}" + (f" (line {split.longest_row:,})" if split.longest_row else ""),
    ]


def _table(rows: Sequence[list[str]]) -> list[str]:
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _group(group: FindingGroup) -> list[str]:
    times = f" ({group.count:,} times)" if group.count > 1 else ""
    return [f"{group.severity}: {group.rule}{times}: {group.examples[0]}", f"    {group.fix}"]


def _verdict(report: CheckReport) -> str:
    verdict = "passed" if report.passed else "failed"
    errors = f"{report.errors:,} error{'s' * (report.errors != 1)}"
    warnings = f"{report.warnings:,} warning{'s' * (report.warnings != 1)}"
    return f"{verdict} for {report.base_model}: {errors}, {warnings}; tokens are {report.token_estimate}"
