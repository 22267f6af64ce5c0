"""Compares the evaluations of two runs: pass rates with intervals, paired if both used the same prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

from polytune.data.lines import blocks
from polytune.engine.comparand import Comparand
from polytune.engine.difference import StepDifference, differs
from polytune.evaluation.results import (
    EvaluatedPrompt,
    GraderResult,
    Score,
    answers_name,
    base,
    custom,
    evaluated_prompts,
    results_in,
)
from polytune.evaluation.significance import compare, z_95
from polytune.report.shape import CellChange, Direction, EvaluationDifference, PassCount, Value

leading_answerers = (custom, base)
least_shared = 0.5
"""Minimum of common prompts, as a fraction of the smaller test split. With fewer, pairing would discard most
of the evidence."""


@dataclass(frozen=True)
class Verdicts:
    """One answerer's verdicts under one grader in one run, by test prompt."""

    passed: Mapping[tuple[str, int], bool]
    """By prompt and a number, which distinguishes rows with the same prompt."""
    cells: Mapping[tuple[str, int], Mapping[str, Value]]
    tally: PassCount


def evaluation_differences(
    old: Comparand, new: Comparand, step: StepDifference
) -> Iterator[EvaluationDifference]:
    """One difference for every grader and answerer that both runs have and whose results differ."""
    if not differs(step):
        return
    before, after = _results(old, step.id), _results(new, step.id)
    rows = _rows(old, step.id), _rows(new, step.id)
    for grader in (name for name in after if name in before):
        judged_by = (before[grader].judged_by, after[grader].judged_by)
        for answerer in _answerers(before[grader], after[grader]):
            pair = [
                _verdicts(of, grader, answerer, scores[grader].scores[answerer])
                for of, scores in zip(rows, (before, after), strict=True)
            ]
            if pair[0] != pair[1] or judged_by[0] != judged_by[1]:
                yield _difference((step.id, grader, answerer), judged_by, pair[0], pair[1])


def _results(side: Comparand, step: str) -> dict[str, GraderResult]:
    report = side.steps[step].report
    assert report is not None
    return results_in(report.metrics)


def _answerers(before: GraderResult, after: GraderResult) -> list[str]:
    both = before.scores.keys() & after.scores.keys()
    return [*(name for name in leading_answerers if name in both), *sorted(both - set(leading_answerers))]


def _rows(side: Comparand, step: str) -> list[EvaluatedPrompt]:
    """Every test prompt with its verdicts; empty if the file no longer exists."""
    path: Path | None = side.output(step, answers_name)
    if path is None:
        return []
    return list(evaluated_prompts(line for block in blocks(path) for line in block.lines))


def _verdicts(rows: Sequence[EvaluatedPrompt], grader: str, answerer: str, score: Score) -> Verdicts:
    seen: Counter[str] = Counter()
    passed, cells = {}, {}
    for row in rows:
        judged = row.answers.get(answerer)
        verdict = judged.verdicts.get(grader) if judged else None
        if verdict is not None:
            name = (row.prompt, seen[row.prompt])
            seen[row.prompt] += 1
            passed[name], cells[name] = verdict.passed, row.cell
    # The tally comes from the summary, so pass rates can be compared even if the answers are gone.
    return Verdicts(passed, cells, PassCount(passed=score.passed, n=score.n))


def _difference(
    name: tuple[str, str, str], judged_by: tuple[str, str], old: Verdicts, new: Verdicts
) -> EvaluationDifference:
    shared = [prompt for prompt in new.passed if prompt in old.passed]
    smaller = min(old.tally.n, new.tally.n)
    paired = bool(shared) and len(shared) >= least_shared * smaller
    everything = len(shared) == old.tally.n == new.tally.n
    before, after = ([of.passed[prompt] for prompt in shared] for of in (old, new))
    # Pairing removes the variation between prompts and so detects smaller differences. Without enough common
    # prompts the two rates are compared as independent samples.
    found = compare(before, after)
    interval = (found.low, found.high) if paired else unpaired_interval(old.tally, new.tally)
    difference = found.difference if paired else round(_rate(new.tally) - _rate(old.tally), 6)
    return EvaluationDifference(
        step=name[0],
        grader=name[1],
        answerer=name[2],
        judged_by=judged_by,
        old=old.tally,
        new=new.tally,
        pairing=("all" if everything else "shared") if paired else "none",
        shared_old=_tally(before),
        shared_new=_tally(after),
        difference=difference,
        low=interval[0],
        high=interval[1],
        p=found.p if paired else None,
        direction=_direction(*interval),
        cells=tuple(_cells(old, new, shared if paired else None)),
    )


def unpaired_interval(old: PassCount, new: PassCount) -> tuple[float, float]:
    """The 95% interval of the difference of two independent pass rates (Agresti and Caffo, 2000)."""
    # Adding one success and one failure to each sample keeps the coverage near 95% for small n.
    rates = [(each.passed + 1) / (each.n + 2) for each in (old, new)]
    half = z_95 * sqrt(
        sum(rate * (1 - rate) / (each.n + 2) for rate, each in zip(rates, (old, new), strict=True))
    )
    middle = rates[1] - rates[0]
    return round(max(-1.0, middle - half), 6), round(min(1.0, middle + half), 6)


# No claim while the interval contains 0, however large the difference: most changes between runs are noise.
def _direction(low: float, high: float) -> Direction:
    if low > 0:
        return "better"
    return "worse" if high < 0 else "not distinguishable"


def _tally(verdicts: Sequence[bool]) -> PassCount:
    return PassCount(passed=sum(verdicts), n=len(verdicts))


def _rate(tally: PassCount) -> float:
    return tally.passed / tally.n if tally.n else 0.0


def _cells(old: Verdicts, new: Verdicts, shared: Sequence[tuple[str, int]] | None) -> Iterator[CellChange]:
    """Every matrix value whose prompts have a different pass rate, the largest change first."""
    before = _by_value(old, old.passed if shared is None else shared)
    after = _by_value(new, new.passed if shared is None else shared)
    found = [
        CellChange(axis=axis, value=value, old=before[axis, value], new=after[axis, value])
        for axis, value in after
        if (axis, value) in before
    ]
    moved = [cell for cell in found if _rate(cell.old) != _rate(cell.new)]
    yield from sorted(moved, key=lambda c: (-abs(_rate(c.new) - _rate(c.old)), c.axis, c.value))


def _by_value(
    verdicts: Verdicts, prompts: Sequence[tuple[str, int]] | Mapping[tuple[str, int], bool]
) -> dict[tuple[str, str], PassCount]:
    passed: Counter[tuple[str, str]] = Counter()
    asked: Counter[tuple[str, str]] = Counter()
    for prompt in prompts:
        for axis, value in verdicts.cells[prompt].items():
            asked[axis, str(value)] += 1
            passed[axis, str(value)] += verdicts.passed[prompt]
    return {name: PassCount(passed=passed[name], n=n) for name, n in asked.items()}
