"""What a preview shows of each sample: its question and answer, the row made of them, and what is wrong."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from polytune.cli._bench import Made
from polytune.cli._table import table
from polytune.data.validate.report import CheckReport, Example, FindingGroup
from polytune.engine.compiled import Compiled
from polytune.engine.ledger import Usage
from polytune.prompts.coverage import Coverage

shown_lines = 12
"""Of one text on the screen; `--json` has all of it."""
narrowest, widest = 60, 110
label_width = 10
of_many_rows = frozenset({"too-few-rows", "few-rows", "validation-set", "empty-file"})
"""Rules about how many rows there are, which says nothing of a handful."""


@dataclass(frozen=True)
class Finding:
    """One thing wrong with one row."""

    severity: str
    rule: str
    field: str
    message: str
    fix: str


@dataclass(frozen=True)
class Shown:
    """One sample through the whole path."""

    sample: Mapping[str, Any]
    """As `generate` wrote it."""
    split: str = ""
    line: int = 0
    row: bytes = b""
    """As `format` wrote it; empty when it was left out."""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Previewed:
    """One experiment's handful of samples."""

    name: str
    samples: tuple[Shown, ...]
    rejects: tuple[Mapping[str, Any], ...]
    """Answers that were not taken."""
    others: tuple[FindingGroup, ...]
    """Findings about whole files."""
    usage: Usage
    rest: str
    """What the whole run still costs."""
    checked: bool
    """Whether the rows were judged."""
    coverage: Coverage | None = None
    """What the whole plan covers; None for a plan too long to walk through for a look."""

    @property
    def errors(self) -> int:
        """Findings that would stop a run."""
        own = sum(each.severity == "error" for shown in self.samples for each in shown.findings)
        return own + sum(group.severity == "error" for group in self.others)


def previewed(whole: Compiled, made: Made, rest: str, covered: Coverage | None) -> Previewed:
    """What the steps made, sample by sample."""
    samples = _lines(made.file("Samples", "samples.jsonl"))
    report = _report(made)
    places = {each["sample"]: each for each in _lines(made.file("Dataset", "provenance.jsonl"))}
    return Previewed(
        name=whole.name,
        samples=tuple(_shown(sample, places.get(sample["id"]), made, report) for sample in samples),
        rejects=tuple(_lines(made.file("Samples", "rejects.jsonl"))),
        others=tuple(_others(report)),
        usage=made.usage,
        rest=rest,
        checked=report is not None,
        coverage=covered,
    )


def _lines(path: Path | None) -> list[Any]:
    return [] if path is None else [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def _report(made: Made) -> CheckReport | None:
    """The outcome of the check, whether the rows passed or not; None when nobody checked."""
    found = made.file("CheckedDataset", "validation.json") or next(made.folder.glob("*-findings.json"), None)
    return None if found is None else msgspec.json.decode(found.read_bytes(), type=CheckReport)


def _shown(sample: Any, place: Any, made: Made, report: CheckReport | None) -> Shown:
    if place is None:
        return Shown(sample)
    path = made.file("Dataset", f"{place['split']}.jsonl")
    assert path is not None, "provenance names files of its own dataset"
    row = path.read_bytes().splitlines()[place["line"] - 1]
    return Shown(sample, place["split"], place["line"], row, tuple(_findings(place, report)))


def _findings(place: Mapping[str, Any], report: CheckReport | None) -> Iterator[Finding]:
    for group in report.groups if report else ():
        for each in group.examples:
            if (each.split, each.line) == (place["split"], place["line"]):
                yield Finding(group.severity, group.rule, each.field, each.message, group.fix)


def _others(report: CheckReport | None) -> Iterator[FindingGroup]:
    """Findings about no single row, without those about how many rows there are."""
    for group in report.groups if report else ():
        about_files: list[Example] = [each for each in group.examples if not each.line]
        if about_files and group.rule not in of_many_rows:
            yield msgspec.structs.replace(group, examples=tuple(about_files), count=len(about_files))


# for a program


def preview_json(shown: Previewed) -> dict[str, Any]:
    """The preview for a program."""
    return {
        "experiment": shown.name,
        "samples": [_sample_json(each) for each in shown.samples],
        "rejects": shown.rejects,
        "findings": shown.others,
        "errors": shown.errors,
        "usage": shown.usage,
        "rest": shown.rest,
        "coverage": shown.coverage.facts() if shown.coverage else None,
    }


def _sample_json(shown: Shown) -> dict[str, Any]:
    row = msgspec.Raw(shown.row) if shown.row else None
    return {**shown.sample, "split": shown.split, "line": shown.line, "row": row, "findings": shown.findings}


# for a person


def preview_lines(shown: Previewed) -> Iterator[str]:
    """The preview as a person reads it: a block a sample, then what it took and what is left."""
    yield f"{shown.name}   {len(shown.samples)} samples"
    for number, each in enumerate(shown.samples, start=1):
        yield ""
        yield _title(number, each)
        yield from _labelled("prompt", each.sample["prompt"])
        for turn in each.sample.get("follow_ups", ()):
            yield from _labelled("answer", turn["answer"])
            yield from _labelled("prompt", turn["prompt"])
        yield from _labelled("answer", each.sample["answer"] or "(none: a prompt alone)")
        yield from _labelled("row", _row_text(each))
        yield from _labelled("findings", _findings_text(each, checked=shown.checked))
    yield from _rejected(shown)
    for group in shown.others:
        yield f"{group.severity}: {group.rule}: {group.examples[0].message}. {group.fix}"
    if shown.coverage is not None and shown.coverage.axes:
        yield ""
        yield from table([("the plan", "", "due", "got", ""), *shown.coverage.axis_rows()])
    yield ""
    yield from table(
        [("this preview", _cost(shown.usage)), ("the whole run", shown.rest or "nothing to ask")]
    )


def _title(number: int, shown: Shown) -> str:
    sample = shown.sample
    cell = ", ".join(f"{axis} {value}" for axis, value in sample["cell"].items())
    usage, price = sample["usage"], sample["price_usd"]
    about = "~" if usage["estimated"] else ""
    tokens = f"{about}{usage['input_tokens']:,} + {usage['output_tokens']:,} tokens"
    cost = "price unknown" if price is None else f"${price:.4f}" if price else "free"
    seed = f"seed {sample['seed']}" if sample.get("seed") else ""
    parts = [f"{number}.", cell, f"template {sample['template']}", seed, tokens, cost]
    return "   ".join(filter(None, parts))


def _labelled(label: str, text: str) -> Iterator[str]:
    """A text beside its label, wrapped to the screen."""
    width = min(widest, max(narrowest, shutil.get_terminal_size((widest, 24)).columns)) - label_width - 2
    lines = [part for line in text.splitlines() or [""] for part in textwrap.wrap(line, width) or [""]]
    if len(lines) > shown_lines:
        lines = [*lines[: shown_lines - 1], f"... {len(lines) - shown_lines + 1} more lines"]
    for place, line in enumerate(lines):
        yield f"  {label if not place else '':<{label_width}}{line}".rstrip()


def _row_text(shown: Shown) -> str:
    if not shown.row:
        return "none: left out as a duplicate"
    return f"{shown.split}.jsonl:{shown.line}  {shown.row.decode()}"


def _findings_text(shown: Shown, *, checked: bool) -> str:
    if not checked or not shown.row:
        return "not checked"
    lines = [f"{each.severity}: {each.rule}: {each.message}. {each.fix}" for each in shown.findings]
    return "\n".join(lines) or "none"


def _rejected(shown: Previewed) -> Iterator[str]:
    if shown.rejects:
        yield ""
        yield f"{len(shown.rejects)} answers were not taken"
    for each in shown.rejects:
        yield from _labelled(each["by"][:label_width], f"{each['reason']}   to: {each['prompt']}")


def _cost(usage: Usage) -> str:
    price = "price unknown" if usage.usd is None else f"${usage.usd:.4f}" if usage.usd else "free"
    return f"{usage.requests:,} answers asked, {usage.reused:,} reused, {price}"
