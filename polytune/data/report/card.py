"""A dataset card: a file's contents, licence, teachers, lint findings, and how to reproduce it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from polytune.data.lint.lint import Lint
from polytune.data.lint.rules.interface import LintOptions
from polytune.data.report.summary import Distribution, FileSummary, summarise
from polytune.data.tokens import TokenCounter
from polytune.data.validate.report import FindingGroup, Tally
from polytune.engine.manifest import Manifest, read_manifest
from polytune.errors import UsageError
from polytune.files import digest_of

folders_up = 4
"""How many parent folders are searched for a manifest: a run's outputs are only few levels below it."""


class CardTeacher(msgspec.Struct, frozen=True, kw_only=True):
    """A teacher who wrote answers."""

    label: str
    rows: int
    """0 when the rows do not say who wrote them."""


class CardOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """The run that produced the file."""

    experiment: str
    run: str
    commands: tuple[str, ...]
    """The commands that reproduce it, in the workspace at that commit."""
    commit: str
    dirty: bool
    polytune: str


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of a card."""

    title: str
    sha256: str
    licence: str
    """As stated by the user or the experiment; '' when neither states one."""
    summary: FileSummary
    teachers: tuple[CardTeacher, ...]
    errors: int
    warnings: int
    findings: tuple[FindingGroup, ...]
    unchecked: dict[str, str]
    """By lint rule, what was not checked on this machine, and how to install the missing package."""
    origin: CardOrigin | None
    """None for a file that is not in a run's folder."""


def card_of(path: Path, counter: TokenCounter, options: LintOptions, licence: str = "") -> Card:
    """The card of a file, which is read three times: for the summary, the lint and the digest.

    `licence` defaults to that of the experiment whose run produced the file. Raises DataError when the file
    cannot be read.
    """
    summary = summarise(path, counter)
    lint, tally = Lint(path, options), Tally()
    for found in lint:
        tally.add(found.finding, file=path.name)
    manifest = _manifest_near(path)
    return Card(
        title=path.name,
        sha256=digest_of(path),
        licence=licence or (str(manifest.spec.get("licence", "")) if manifest else ""),
        summary=summary,
        teachers=_teachers(summary, manifest),
        errors=lint.errors,
        warnings=lint.warnings,
        findings=tally.groups(),
        unchecked=lint.unchecked,
        origin=_origin(manifest) if manifest else None,
    )


def _teachers(summary: FileSummary, manifest: Manifest | None) -> tuple[CardTeacher, ...]:
    rows = dict(summary.teachers)
    if not rows and manifest is not None:
        outputs = [report.output for report in manifest.steps.values() if report.output is not None]
        labels = [str(output.facts["teacher"]) for output in outputs if output.facts.get("teacher")]
        rows = dict.fromkeys(labels, 0)
    return tuple(CardTeacher(label=label, rows=count) for label, count in rows.items())


def _manifest_near(path: Path) -> Manifest | None:
    """The manifest of the run whose folder contains the file; None when there is none."""
    for folder in path.resolve().parents[:folders_up]:
        if (folder / "manifest.json").is_file():
            try:
                return read_manifest(folder / "manifest.json")
            except UsageError:
                return None
    return None


def _origin(manifest: Manifest) -> CardOrigin:
    changes = "".join(f" --set {change}" for change in manifest.overrides)
    checkout = (f"git checkout {manifest.git.commit}",) if manifest.git.commit else ()
    return CardOrigin(
        experiment=manifest.experiment,
        run=manifest.run_id,
        commands=(*checkout, f"polytune run {manifest.path}{changes}"),
        commit=manifest.git.commit,
        dirty=manifest.git.dirty,
        polytune=manifest.polytune,
    )


def markdown(card: Card) -> str:
    """The card as a Markdown page."""
    summary = card.summary
    lines = [
        f"# {card.title}",
        "",
        f"{summary.rows:,} rows, {summary.bytes / 1e6:,.2f} MB, SHA-256 `{card.sha256}`.",
        "",
        f"Licence: {' '.join(card.licence.split()) or 'not stated'}.",
        "",
        *_counts(summary),
        *_who(card),
        *_tables("Cells", "cell", summary.cells),
        *_lint(card),
        *_again(card),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _counts(summary: FileSummary) -> list[str]:
    layouts = ", ".join(f"{name} ({rows:,})" for name, rows in summary.layouts.items()) or "none"
    tokens = "exact" if summary.tokens_exact else summary.token_error
    rows = [
        ("layout", layouts),
        ("prompts", f"{summary.prompts:,} different, {summary.systems:,} different system prompts"),
        ("duplicate rows", f"{summary.duplicate_rows:,}"),
        ("further answers to a prompt", f"{summary.different_answers:,}"),
        ("longer conversations", f"{summary.longer_conversations:,}"),
        ("unreadable lines", f"{summary.bad_rows:,}"),
        ("tokens", _spread(summary.tokens)),
        ("tokens of answers", _spread(summary.answer_tokens)),
        ("token counts", tokens),
    ]
    if summary.mean_score is not None:
        rows.append(("score", f"{summary.mean_score:g} on average, of {summary.scored_rows:,} rows"))
    return ["## Counts", "", *_table(("", ""), rows)]


def _spread(figures: Distribution) -> str:
    row = f"p50 {figures.p50:,}, p90 {figures.p90:,}, p99 {figures.p99:,}, max {figures.max:,}"
    return f"{figures.total:,}; a row {row}"


def _who(card: Card) -> list[str]:
    if not card.teachers:
        return ["## Teachers", "", "The rows do not say who wrote them.", ""]
    rows = [(each.label, f"{each.rows:,}" if each.rows else "not stated") for each in card.teachers]
    return ["## Teachers", "", *_table(("teacher", "rows"), rows)]


def _tables(title: str, name: str, counts: Mapping[str, int]) -> list[str]:
    if not counts:
        return []
    return [
        f"## {title}",
        "",
        *_table((name, "rows"), [(label, f"{rows:,}") for label, rows in counts.items()]),
    ]


def _lint(card: Card) -> list[str]:
    unchecked = [f"Not checked: {rule}: {what}" for rule, what in card.unchecked.items()]
    if not card.findings:
        return ["## Lint", "", "No findings.", "", *unchecked, ""]
    rows = [
        (group.rule, group.severity, f"{group.count:,}", str(group.examples[0]), group.fix)
        for group in card.findings
    ]
    verdict = f"{card.errors:,} errors, {card.warnings:,} warnings."
    table = _table(("rule", "severity", "rows", "for example", "fix"), rows)
    return ["## Lint", "", verdict, "", *table, *unchecked, ""]


def _again(card: Card) -> list[str]:
    if card.origin is None:
        return ["## How to make it again", "", "No run near this file says how it was made.", ""]
    origin = card.origin
    dirty = " with changes that were not committed" if origin.dirty else ""
    made = f"Run {origin.run} of {origin.experiment}, polytune {origin.polytune}{dirty}."
    return ["## How to make it again", "", made, "", "```", *origin.commands, "```", ""]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(map(_cell, line))} |" for line in lines] + [""]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
