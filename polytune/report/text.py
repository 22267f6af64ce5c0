"""Prints a comparison as lines on a terminal: first the first difference, then only what differs.

first difference: generate, count 600 -> 1000   strudel-v3.yaml:7
  A          strudel-v2   20261120T...
  B          strudel-v3   20261121T...

  spec       steps.generate.count   600 -> 1000   ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from polytune.engine.difference import FileChange, Relation, StepDifference, pair_text
from polytune.engine.rowdiff import GroupCount
from polytune.engine.textdiff import compare_texts
from polytune.report import words
from polytune.report.shape import DatasetDifference, Difference, EvaluationDifference

# Longer texts are cut: a comparison should fit a few screens, and `--json` has the rest.
most_hunk_lines = 40
label_width = 11


def text_lines(found: Difference) -> list[str]:
    """The lines of a comparison; a single line if nothing differs."""
    first = found.structure.first
    if first is None:
        return [f"no difference   {_same_words(found)}"]
    lines = [f"first difference: {words.first_words(first)}   {first.origin}".rstrip()]
    sides = words.columns([words.side_cells(side) for side in (found.old, found.new)])
    for name, side in zip("AB", sides, strict=True):
        lines += _labelled(name, [side])
    for label, section in _sections(found):
        lines += _labelled(label, section, gap=label in ("spec", "steps"))
    return lines


def _same_words(found: Difference) -> str:
    count = len(found.structure.steps)
    steps = f"{count} step{'s' if count != 1 else ''}"
    runs = found.old.run_id and found.new.run_id
    return f"{steps} with the same keys and outputs" if runs else f"{steps} with the same keys"


def _labelled(label: str, lines: Iterable[str], *, gap: bool = False) -> Iterator[str]:
    """The lines with a label before the first one; nothing if there are no lines."""
    for number, line in enumerate(lines):
        if number == 0 and gap:
            yield ""
        yield f"  {label if number == 0 else '':<{label_width}}{line}".rstrip()


def _sections(found: Difference) -> Iterator[tuple[str, list[str]]]:
    yield "spec", _value_lines(found)
    for change in found.structure.files:
        yield "text", _file_lines(change)
    yield "steps", _step_lines(found)
    for count in found.answers:
        yield "answers", words.columns([[count.step, words.answer_words(count)]])
    for dataset in found.datasets:
        yield "dataset", _dataset_lines(dataset)
    for step, metrics in groupby(found.metrics, lambda metric: metric.step):
        yield step, [words.metric_words(metric) for metric in metrics]
    for (step, _), judged in groupby(found.evaluations, lambda each: (each.step, each.grader)):
        yield step, _evaluation_lines(list(judged))
    if found.spending is not None:
        spent = found.spending
        yield "cost", [f"{words.money_words(spent)}   {words.request_words(spent)}"]


def _value_lines(found: Difference) -> list[str]:
    # Short values come first, in columns; texts of several lines would break the columns.
    values = found.structure.values
    rows = [
        [value.path, pair_text(value.old, value.new), words.origin_words(value)]
        for value in values
        if not words.is_text(value)
    ]
    lines = words.columns(rows)
    for value in values:
        if words.is_text(value):
            lines += [f"{value.path}   {words.origin_words(value)}"]
            lines += words.cut(compare_texts(value.old or "", value.new or "").hunks, most_hunk_lines)
    return lines


def _file_lines(change: FileChange) -> list[str]:
    paths = " -> ".join(dict.fromkeys((change.old_path, change.new_path)))
    text = change.text
    counts = f"+{text.added} -{text.removed}" if text.hunks else f"changed, {text.note}"
    return [f"{paths}   {counts}", *words.cut(text.hunks, most_hunk_lines)]


def _step_lines(found: Difference) -> list[str]:
    shown = [step for step in found.structure.steps if _worth_telling(step)]
    return words.columns([[step.id, str(step.relation), words.step_words(step, found.old)] for step in shown])


def _worth_telling(step: StepDifference) -> bool:
    # A step reused from another run is worth a line: it says where the output was made and paid for.
    return step.relation is not Relation.SAME or bool(step.reused_from)


def _dataset_lines(dataset: DatasetDifference) -> list[str]:
    # With a note the rows were not aligned: the counts of added and changed rows are unknown, not zero.
    lines = words.columns([_split_row(split, known=not dataset.note) for split in dataset.splits])
    if dataset.aligned_by_prompt:
        lines.append(f"{dataset.aligned_by_prompt:,} rows aligned by prompt, since their requests differ")
    lines += [dataset.note] if dataset.note else []
    return lines + words.row_lines(dataset, "+-~>")


def _split_row(split: GroupCount, *, known: bool) -> list[str]:
    """`train   48 -> 80 rows   +32 -0 ~2`"""
    rows = f"{split.old:,} -> {split.new:,} rows" if split.old != split.new else f"{split.new:,} rows"
    if not known:
        return [split.name, rows]
    told = [
        f"{count:,} {name}"
        for count, name in (
            (split.added, "added"),
            (split.removed, "removed"),
            (split.changed, "changed"),
            (split.moved_in, "moved in"),
            (split.moved_out, "moved out"),
        )
        if count
    ]
    return [split.name, rows, ", ".join(told) or "all the same"]


def _evaluation_lines(found: list[EvaluationDifference]) -> list[str]:
    lines = [f"{found[0].grader}, {words.judge_words(found[0])}"]
    for each in found:
        pair = f"{words.tally_words(each.old)} -> {words.tally_words(each.new)}"
        lines.append(f"{each.answerer:<8} {pair}   {words.shared_words(each)}{words.verdict_words(each)}")
        cells = words.cells_words(each)
        lines += [f"{'':<8} {cells}"] if cells else []
    return lines
