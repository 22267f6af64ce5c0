"""The outcome of a run as text: its steps, the comparison of base and custom model, the exported files."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from polytune.engine.artifacts import Facts
from polytune.engine.manifest import Manifest, StepReport, StepStatus
from polytune.evaluation.results import base, custom, nearest, results_in
from polytune.evaluation.significance import Comparison

titles = {base: "base model", custom: "custom model", nearest: "nearest training answer"}
"""The compared subjects in the order of the table."""


def outcome_lines(manifest: Manifest) -> list[str]:
    """A finished run as text."""
    title = f"{manifest.experiment}   {manifest.status}   run {manifest.run_id}{rehearsal_mark(manifest)}"
    lines = [title, ""]
    for name in manifest.order:
        lines.append(_step_line(name, manifest.steps[name]))
    for name in manifest.order:
        report = manifest.steps[name]
        if report.kind == "evaluate" and report.status.complete:
            lines += ["", *evaluation_lines(report.metrics)]
            lines += ["  these answers are an emulator's: they say nothing of a model"] * manifest.rehearsal
    exported = [_placed(report) for report in manifest.steps.values() if report.kind == "export"]
    paths = [path for path in exported if path]
    if paths:
        lines += ["", f"exported   {', '.join(paths)}"]
    if manifest.status == "done":
        lines.append(f"next       {program()} show {manifest.run_id}{' --rehearsal' * manifest.rehearsal}")
    return lines


def rehearsal_mark(manifest: Manifest) -> str:
    """The marker of a rehearsal, shown wherever a run is named; '' for a real run."""
    return "   REHEARSAL: losses, answers and prices are synthetic" if manifest.rehearsal else ""


def program() -> str:
    """The command that calls this program: its name if it is on the PATH, else its path."""
    # The printed commands are meant to be copied, so they must work in this shell.
    called = Path(sys.argv[0])
    if called.name != "polytune" or shutil.which("polytune"):
        return "polytune"
    near = os.path.relpath(called)
    return str(called.absolute()) if near.startswith("..") else near


def _step_line(name: str, report: StepReport) -> str:
    parts = [f"  {name:<10} {report.status:<8}"]
    if report.status is StepStatus.DONE:
        parts.append(f"{report.seconds:7.1f} s")
    if report.status is StepStatus.CACHED:
        parts.append(f"from {report.from_run}")
    if report.usage.requests or report.usage.reused:
        parts.append(f"{report.usage.requests:,} answers asked, {report.usage.reused:,} reused")
    if warnings := report.metrics.get("warnings"):
        parts.append(f"{warnings:,} warnings{_report_path(report)}")
    if report.message:
        parts.append(report.message)
    return "   ".join(parts).rstrip()


def evaluation_lines(metrics: Facts) -> Iterator[str]:
    """The table of scores, with the remarks that are needed to interpret it."""
    for grader, result in results_in(metrics).items():
        yield f"{grader} on the test split, judged by {result.judged_by}"
        for who, title in titles.items():
            score = result.scores.get(who)
            if score is None:
                continue
            share = score.passed / score.n if score.n else 0.0
            yield f"  {title:<26}{score.passed:>5}/{score.n:<5} {share:>5.0%}{_remark(who, metrics)}"
        if result.custom_versus_base is not None:
            yield f"  {_versus(base, result.custom_versus_base)}"
        else:
            yield f"  {_versus(nearest, result.custom_versus_nearest)}"


def _remark(who: str, metrics: Facts) -> str:
    # Without these remarks, a custom model that beats them would look better than it is.
    if who == base and metrics["base_is_untrained"]:
        return "   untrained weights: it fails by construction"
    return "   the trivial rival: no model at all" if who == nearest else ""


def _versus(who: str, found: Comparison) -> str:
    points, low, high = (100 * value for value in (found.difference, found.low, found.high))
    return (
        f"custom versus {who}: {points:+.0f} points, 95% interval {low:+.0f} to {high:+.0f},"
        f" paired p {_p_value(found.p)}, n = {found.n}"
    )


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"


def _report_path(report: StepReport) -> str:
    """The path of the full report of a check, as ` in PATH`; '' when there is none."""
    files = report.output.files if report.output else {}
    return next((f" in {entry.path}" for name, entry in files.items() if name == "validation.json"), "")


def _placed(report: StepReport) -> str:
    """The path of an export that is outside the run's folder; '' when there is none."""
    if report.output is None:
        return ""
    # A rehearsal places its exports below runs/.rehearsal, so that it never overwrites a real one.
    placed = {name: (name, f"runs/.rehearsal/{name}") for name in report.output.files}
    return next((e.path for name, e in report.output.files.items() if e.path in placed[name]), "")
