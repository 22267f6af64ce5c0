"""`polytune preview FILE`: takes a few samples through every stage before paying for many.

    the plan's first samples --generate--> --format--> --validate--> shown side by side

They are the plan's first samples, which are already spread over its cells, so the full run finds their
answers in the store. A preview records no run.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import msgspec

from polytune.cli import options
from polytune.cli._table import table
from polytune.cli.lines import PlainLines
from polytune.cli.plan import price_text
from polytune.cli.run import consent, open_workspace, ready, stated_consent
from polytune.data.validate.report import CheckReport, Example, FindingGroup
from polytune.engine.compiled import Compiled, CompiledStep
from polytune.engine.ledger import Usage
from polytune.engine.selection import Flags, before
from polytune.engine.step import Progress
from polytune.engine.trial import Trial, TrialResult
from polytune.errors import ExitCode, UsageError
from polytune.prompts.coverage import Coverage, PlansSamples
from polytune.wiring import OpenWorkspace

fewest, most = 1, 20
"""The range of -n; what needs more samples is a run."""
longest_walk = 200_000
"""The largest plan whose coverage is computed, which takes about a second."""
asking_kind = "generate"
previewed_types = ("Samples", "Dataset", "CheckedDataset")
"""The artifacts that a preview makes: nothing leaves this machine except questions to a teacher."""
shown_lines = 12
"""Lines shown per text; `--json` has all of them."""
narrowest, widest = 60, 110
label_width = 10
of_many_rows = frozenset({"too-few-rows", "few-rows", "validation-set", "empty-file"})
"""Rules about the number of rows, which do not apply to a few samples."""


@dataclass(frozen=True)
class PreviewFinding:
    """One problem in one row."""

    severity: str
    rule: str
    field: str
    message: str
    fix: str


@dataclass(frozen=True)
class PreviewedSample:
    """One sample with its results from every stage."""

    sample: Mapping[str, Any]
    """The sample as written by `generate`."""
    split: str = ""
    line: int = 0
    row: bytes = b""
    """The row as written by `format`; empty when the sample was left out."""
    findings: tuple[PreviewFinding, ...] = ()


@dataclass(frozen=True)
class Previewed:
    """The preview of one experiment."""

    name: str
    samples: tuple[PreviewedSample, ...]
    rejects: tuple[Mapping[str, Any], ...]
    """Rejected answers."""
    others: tuple[FindingGroup, ...]
    """Findings about whole files."""
    usage: Usage
    rest: str
    """The remaining cost of the full run."""
    checked: bool
    """Whether the rows were validated."""
    coverage: Coverage | None = None
    """The coverage of the full plan; None for a plan with more than `longest_walk` samples."""

    @property
    def errors(self) -> int:
        """The number of findings that would stop a run."""
        own = sum(each.severity == "error" for shown in self.samples for each in shown.findings)
        return own + sum(group.severity == "error" for group in self.others)


@click.command("preview")
@options.experiment_file
@click.option("-n", "--samples", type=click.IntRange(fewest, most), default=5, help="How many. Default: 5.")
@options.overrides
@options.variant
@click.option("--yes", is_flag=True, help="Do not ask before spending money.")
@click.option("--max-usd", type=float, help="Stop before the preview spends more.")
@click.option("--rehearse", is_flag=True, help="Ask stand-ins on this machine, at no cost.")
@options.workspace
@options.as_json
@click.pass_context
def command(ctx: click.Context, /, file: Path, workspace: Path | None, **flags: Any) -> None:
    """Take a few samples through generate, format and validate, and show them.

    The answers are stored, so a later run does not pay for them again. Exits with 1 when a row has an error.
    """
    with open_workspace(file, workspace, creating=file.is_file(), rehearse=flags["rehearse"]) as opened:
        shown = [
            _preview(opened, file, whole, flags)
            for whole in options.variants(opened, file, flags["overrides"], flags["variant"])
        ]
    if flags["as_json"]:
        click.echo(msgspec.json.encode([preview_json(each) for each in shown], order="deterministic"))
    else:
        click.echo("\n\n".join("\n".join(preview_lines(each)) for each in shown))
    ctx.exit(ExitCode.FAILED if any(each.errors for each in shown) else ExitCode.DONE)


def _preview(opened: OpenWorkspace, file: Path, whole: Compiled, flags: dict[str, Any]) -> Previewed:
    """Preview one experiment. Raises what its steps raise."""
    small = _small(opened, file, whole, flags)
    # Stop before any step that would start remote work, such as training.
    steps = _path(small)
    planner = opened.planner(small, options.selected(small, Flags(until=steps[-1].id)))
    plan = planner.plan(small)
    checked = ready(opened, plan, flags["max_usd"])
    consent(checked, opened, stated_consent(flags))
    # Only answers are kept, by the ledger; files of a few samples must not look like a run's output.
    with TemporaryDirectory(prefix="polytune-preview-") as folder:
        trial = Trial(
            small,
            Path(folder).resolve(),
            opened.ledger,
            opened.settings,
            opened.step_factory(small).step,
            _reporter(),
            checked.allowed_usd,
        )
        made = asyncio.run(trial.run(steps))
        return previewed(whole, made, _rest(opened, whole), _covered(opened, whole))


def _reporter() -> Callable[[CompiledStep, Progress], None]:
    """A listener that prints progress as plain lines on stderr."""
    listener = PlainLines(sys.stderr)

    def report(step: CompiledStep, progress: Progress) -> None:
        listener({"event": "step_progress", "step": step.id, **msgspec.structs.asdict(progress)})

    return report


def _small(opened: OpenWorkspace, file: Path, whole: Compiled, flags: dict[str, Any]) -> Compiled:
    """The same experiment with a small number of samples."""
    asking = [step for step in whole.steps if step.kind == asking_kind]
    if not asking:
        raise UsageError(f"{whole.name}: no {asking_kind} step, so there is nothing to ask for a preview")
    changes = list(flags["overrides"])
    for step in asking:
        changes.append(f"steps.{step.id}.count={min(flags['samples'], step.spec['count'])}")
        # Of a few answers, graders may well reject most: a preview should show that instead of failing.
        if step.spec.get("graders"):
            changes.append(f"steps.{step.id}.shortfall=0.99")
    return opened.compile(file, changes, whole.name)[0]


def _path(compiled: Compiled) -> list[CompiledStep]:
    """The steps up to the first checked dataset, or else up to the first dataset or the samples."""
    for wanted in reversed(previewed_types):
        for step in compiled.steps:
            needed = before(compiled, step.id)
            found = [each for each in compiled.steps if each.id in needed]
            asks = any(each.kind == asking_kind for each in found)
            if step.produces == wanted and asks and all(each.produces in previewed_types for each in found):
                return found
    raise AssertionError("a generate step produces samples")


def _covered(opened: OpenWorkspace, whole: Compiled) -> Coverage | None:
    """The coverage of the matrix by the full plan; None if it has more than `longest_walk` samples."""
    asking = next(step for step in whole.steps if step.kind == asking_kind)
    if asking.spec["count"] > longest_walk:
        return None
    generate = opened.step_factory(whole).step(asking)
    assert isinstance(generate, PlansSamples)
    return generate.planned_coverage()


def _rest(opened: OpenWorkspace, whole: Compiled) -> str:
    """The remaining cost of the full run, in words."""
    plan = opened.planner(whole, options.selected(whole, Flags())).plan(whole)
    found = opened.preflight(plan).estimates
    words = []
    for step in whole.steps:
        estimate = found.get(step.id)
        if step.kind == asking_kind and estimate is not None:
            price = price_text(estimate.usd_low, estimate.usd_high) or "price unknown"
            counts = f"{estimate.reused or 0:,} answers reused, {estimate.requests or 0:,} to ask"
            words.append(f"{counts}, {price}")
    return "; ".join(words)


# results by sample


def previewed(whole: Compiled, made: TrialResult, rest: str, covered: Coverage | None) -> Previewed:
    """Collect the steps' results by sample."""
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


def _report(made: TrialResult) -> CheckReport | None:
    """The validation report, for rows that passed and for rows that did not; None without validation."""
    # A failed validation publishes no artifact; it leaves its findings in the trial's folder.
    found = made.file("CheckedDataset", "validation.json") or next(made.folder.glob("*-findings.json"), None)
    return None if found is None else msgspec.json.decode(found.read_bytes(), type=CheckReport)


def _shown(sample: Any, place: Any, made: TrialResult, report: CheckReport | None) -> PreviewedSample:
    if place is None:
        return PreviewedSample(sample)
    path = made.file("Dataset", f"{place['split']}.jsonl")
    assert path is not None, "provenance names files of its own dataset"
    row = path.read_bytes().splitlines()[place["line"] - 1]
    return PreviewedSample(sample, place["split"], place["line"], row, tuple(_findings(place, report)))


def _findings(place: Mapping[str, Any], report: CheckReport | None) -> Iterator[PreviewFinding]:
    for group in report.groups if report else ():
        for each in group.examples:
            if (each.split, each.line) == (place["split"], place["line"]):
                yield PreviewFinding(group.severity, group.rule, each.field, each.message, group.fix)


def _others(report: CheckReport | None) -> Iterator[FindingGroup]:
    """Findings that are not about a single row, without those about the number of rows."""
    for group in report.groups if report else ():
        about_files: list[Example] = [each for each in group.examples if not each.line]
        if about_files and group.rule not in of_many_rows:
            yield msgspec.structs.replace(group, examples=tuple(about_files), count=len(about_files))


# output as JSON


def preview_json(shown: Previewed) -> dict[str, Any]:
    """The preview as JSON data."""
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


def _sample_json(shown: PreviewedSample) -> dict[str, Any]:
    row = msgspec.Raw(shown.row) if shown.row else None
    return {**shown.sample, "split": shown.split, "line": shown.line, "row": row, "findings": shown.findings}


# output as text


def preview_lines(shown: Previewed) -> Iterator[str]:
    """The preview as text: one block per sample, then its cost and the cost of the full run."""
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


def _title(number: int, shown: PreviewedSample) -> str:
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
    """A text next to its label, wrapped to the terminal's width."""
    width = min(widest, max(narrowest, shutil.get_terminal_size((widest, 24)).columns)) - label_width - 2
    lines = [part for line in text.splitlines() or [""] for part in textwrap.wrap(line, width) or [""]]
    if len(lines) > shown_lines:
        lines = [*lines[: shown_lines - 1], f"... {len(lines) - shown_lines + 1} more lines"]
    for place, line in enumerate(lines):
        yield f"  {label if not place else '':<{label_width}}{line}".rstrip()


def _row_text(shown: PreviewedSample) -> str:
    if not shown.row:
        return "none: left out as a duplicate"
    return f"{shown.split}.jsonl:{shown.line}  {shown.row.decode()}"


def _findings_text(shown: PreviewedSample, *, checked: bool) -> str:
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
