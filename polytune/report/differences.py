"""A complete comparison: the structural difference, and for two runs also rows, metrics and costs."""

from __future__ import annotations

from collections.abc import Iterator

from polytune.engine.artifacts import Facts
from polytune.engine.comparand import Comparand
from polytune.engine.difference import StepDifference, Structure, differs
from polytune.engine.manifest import StepReport
from polytune.evaluation.results import is_evaluation
from polytune.report.evaluations import evaluation_differences
from polytune.report.rows import dataset_differences, dataset_type
from polytune.report.shape import (
    AnswerCount,
    DatasetDifference,
    Difference,
    Direction,
    EvaluationDifference,
    MetricChange,
    Spending,
    name_of,
)

lower_is_better = ("loss", "perplexity", "errors", "warnings")
"""Endings of metric names."""
loss_rows = {"training_loss": "train", "validation_loss": "validation"}
"""Ending of a metric's name -> the split on which that loss is measured."""
counted_elsewhere = ("_rows", "samples")
"""Endings of metric names that repeat what the comparison of datasets shows."""


def compare_figures(old: Comparand, new: Comparand, structure: Structure, shown: int) -> Difference:
    """Everything that differs between the two sides, with up to `shown` rows of each kind."""
    both_run = old.is_run and new.is_run
    return Difference(
        same=structure.first is None,
        old=name_of(old),
        new=name_of(new),
        structure=structure,
        answers=tuple(_answers(old, new, structure)) if both_run else (),
        datasets=_datasets(old, new, structure, shown) if both_run else (),
        metrics=tuple(_metrics(old, new, structure)) if both_run else (),
        evaluations=_evaluations(old, new, structure) if both_run else (),
        spending=(_spending(old), _spending(new)) if both_run else None,
    )


def _datasets(
    old: Comparand, new: Comparand, structure: Structure, shown: int
) -> tuple[DatasetDifference, ...]:
    order = [step.id for step in structure.steps]
    found = dataset_differences(old, new, shown)
    return tuple(sorted(found, key=lambda dataset: order.index(dataset.step)))


def _both(old: Comparand, new: Comparand, step: StepDifference) -> tuple[StepReport, StepReport] | None:
    """The reports of a step that differs and is complete on both sides; None for any other step."""
    # Metrics of an unfinished step are partial, and comparing them would mislead.
    found = [side.steps[step.id].report if step.id in side.steps else None for side in (old, new)]
    if found[0] is None or found[1] is None or not differs(step):
        return None
    complete = found[0].status.complete and found[1].status.complete
    return (found[0], found[1]) if complete else None


def _answers(old: Comparand, new: Comparand, structure: Structure) -> Iterator[AnswerCount]:
    for step in structure.steps:
        reports = _both(old, new, step)
        if reports is not None:
            before, after = (report.usage for report in reports)
            if after.requests or after.reused:
                yield AnswerCount(
                    step=step.id,
                    old_asked=before.requests,
                    old_reused=before.reused,
                    new_asked=after.requests,
                    new_reused=after.reused,
                )


def _evaluations(old: Comparand, new: Comparand, structure: Structure) -> tuple[EvaluationDifference, ...]:
    found: list[EvaluationDifference] = []
    for step in structure.steps:
        reports = _both(old, new, step)
        if reports is not None and all(is_evaluation(report.metrics) for report in reports):
            found += evaluation_differences(old, new, step)
    return tuple(found)


def _metrics(old: Comparand, new: Comparand, structure: Structure) -> Iterator[MetricChange]:
    for step in structure.steps:
        reports = _both(old, new, step)
        if reports is None or _told_elsewhere(reports):
            continue
        before, after = (dict(_numbers(report.metrics)) for report in reports)
        # In the order of the new run; metrics that only the old run has come last.
        for name in dict.fromkeys((*after, *before)):
            if before.get(name) != after.get(name) and not name.endswith(counted_elsewhere):
                note = _incomparable(name, old, new, structure)
                yield _change(step.id, name, before.get(name), after.get(name), note)


def _told_elsewhere(reports: tuple[StepReport, StepReport]) -> bool:
    dataset = reports[1].output is not None and reports[1].output.type == dataset_type
    return dataset or any(is_evaluation(report.metrics) for report in reports)


def _numbers(metrics: Facts, prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in metrics.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict):
            yield from _numbers(value, f"{path}.")
        # `bool` is a subclass of `int`, but true and false are no figures.
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield path, value


def _change(step: str, name: str, old: float | None, new: float | None, note: str) -> MetricChange:
    delta = None if old is None or new is None else round(new - old, 9)
    direction: Direction = ""
    if delta is not None and name.endswith(lower_is_better) and not note:
        direction = "better" if delta < 0 else "worse"
    return MetricChange(step=step, name=name, old=old, new=new, delta=delta, direction=direction, note=note)


def _incomparable(name: str, old: Comparand, new: Comparand, structure: Structure) -> str:
    """Why two metrics are not comparable, '' if they are: losses on different rows are different measures."""
    split = next((split for ending, split in loss_rows.items() if name.endswith(ending)), None)
    for step in structure.steps if split else ():
        entries = [side.entries(step.id).get(f"{split}.jsonl") for side in (old, new)]
        if entries[0] and entries[1]:
            return "" if entries[0].digest == entries[1].digest else f"other {split} rows"
    return ""


def _spending(side: Comparand) -> Spending:
    reports = [step.report for step in side.steps.values() if step.report is not None]
    complete = [report for report in reports if report.status.complete]
    priced = [report.cost.actual for report in complete]
    # One unknown price makes the total unknown: a sum of the others would look like the whole cost.
    known = [amount for amount in priced if amount is not None]
    return Spending(
        usd=round(sum(known), 6) if len(known) == len(priced) else None,
        requests=sum(report.usage.requests for report in complete),
        reused=sum(report.usage.reused for report in complete),
    )
