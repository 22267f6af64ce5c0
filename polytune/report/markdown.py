"""Prints a comparison as Markdown for a pull request. Equal runs give equal bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from polytune.engine.difference import FileChange, Relation, pair_text
from polytune.engine.textdiff import compare_texts
from polytune.report import words
from polytune.report.shape import DatasetDifference, Difference, EvaluationDifference, SideName

Table = Sequence[Sequence[str]]


def markdown_lines(found: Difference) -> list[str]:
    """The lines of a comparison."""
    first = found.structure.first
    if first is None:
        return [f"**No difference** between {_side(found.old)} and {_side(found.new)}."]
    origin = f" ({_code(first.origin)})" if first.origin else ""
    lines = [f"**First difference:** {_plain(words.first_words(first))}{origin}", ""]
    lines += _table(["", "experiment", "run", "file"], [_side_row("A", found.old), _side_row("B", found.new)])
    for title, section in _sections(found):
        if section:
            lines += ["", f"### {title}", "", *section]
    return lines


def _side(side: SideName) -> str:
    return _code(f"{side.experiment}/{side.run_id}" if side.run_id else side.path)


def _side_row(name: str, side: SideName) -> list[str]:
    return [name, _plain(side.experiment), _code(side.run_id) if side.run_id else "", _code(side.path)]


def _sections(found: Difference) -> Iterator[tuple[str, list[str]]]:
    yield "Spec", list(_values(found))
    for change in found.structure.files:
        yield f"Text of {_code(change.new_path)}", list(_file(change))
    yield "Steps", list(_steps(found))
    for dataset in found.datasets:
        yield f"Dataset of {_code(dataset.step)}", list(_dataset(dataset))
    yield "Figures", [f"- {_code(each.step)} {_plain(words.metric_words(each))}" for each in found.metrics]
    yield "Evaluation", list(_evaluations(found.evaluations))
    yield "Cost", list(_cost(found))


def _values(found: Difference) -> Iterator[str]:
    values = found.structure.values
    rows = [
        [_code(value.path), _plain(pair_text(value.old, value.new)), _plain(words.origin_words(value))]
        for value in values
        if not words.is_text(value)
    ]
    yield from _table(["value", "A -> B", "where"], rows)
    for value in values:
        if words.is_text(value):
            yield from ("", f"{_code(value.path)} {_plain(words.origin_words(value))}", "")
            yield from _fenced(compare_texts(value.old or "", value.new or "").hunks)


def _file(change: FileChange) -> Iterator[str]:
    if change.old_path != change.new_path:
        yield from (f"Was {_code(change.old_path)}.", "")
    if change.text.hunks:
        yield from _fenced(change.text.hunks)
    else:
        yield f"Changed, {change.text.note}."


def _fenced(lines: Iterable[str], language: str = "diff") -> list[str]:
    """A code block with a fence longer than any sequence of backticks in it."""
    content = list(lines)
    # Prompts are Markdown themselves: a shorter fence would end inside of the diff.
    fence = "```"
    while any(fence in line for line in content):
        fence += "`"
    return [f"{fence}{language}", *content, fence]


def _steps(found: Difference) -> list[str]:
    rows = [
        [_code(step.id), str(step.relation), _plain(words.step_words(step, found.old))]
        for step in found.structure.steps
        if step.relation is not Relation.SAME or step.reused_from
    ]
    return _table(["step", "", ""], rows)


def _dataset(dataset: DatasetDifference) -> Iterator[str]:
    heads = ["split", "A", "B", "added", "removed", "changed", "moved in", "moved out"]
    numbers = [(s.old, s.new, s.added, s.removed, s.changed, s.moved_in, s.moved_out) for s in dataset.splits]
    shown = 2 if dataset.note else len(heads) - 1
    rows = [
        [split.name, *(f"{number:,}" for number in counts[:shown])]
        for split, counts in zip(dataset.splits, numbers, strict=True)
    ]
    yield from _table(heads[: shown + 1], rows)
    if dataset.aligned_by_prompt:
        yield from ("", f"{dataset.aligned_by_prompt:,} rows aligned by prompt, since their requests differ.")
    if dataset.note:
        yield from ("", f"{dataset.note}.")
    yield from _rows(dataset)


def _rows(dataset: DatasetDifference) -> Iterator[str]:
    # The marks are those that GitHub colors in a diff block; it knows `!` for changes but has none for moves.
    lines = words.row_lines(dataset, "+-!!")
    if lines:
        yield from ("", "<details><summary>Some of the rows</summary>", "", *_fenced(lines), "", "</details>")


def _evaluations(found: Sequence[EvaluationDifference]) -> Iterator[str]:
    rows = [
        [
            f"{each.answerer} ({_plain(each.grader)}, {_plain(words.judge_words(each))})",
            words.tally_words(each.old),
            words.tally_words(each.new),
            f"{words.shared_words(each)}{words.verdict_words(each)}",
            _plain(words.cells_words(each)),
        ]
        for each in found
    ]
    yield from _table(["answers of", "A", "B", "difference", "cells"], rows)


def _cost(found: Difference) -> Iterator[str]:
    for count in found.answers:
        yield f"- {_code(count.step)} {words.answer_words(count)}"
    if found.spending is not None:
        yield f"- {words.money_words(found.spending)}, {words.request_words(found.spending)}"


def _table(heads: Sequence[str], rows: Table) -> list[str]:
    if not rows:
        return []
    return [_row(heads), _row(["---"] * len(heads)), *(_row(row) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _code(text: str) -> str:
    """The text as inline code, even if it contains backticks."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _plain(text: str) -> str:
    """The text with Markdown's special characters escaped."""
    # The backslash comes first, or it would escape the backslashes added for the others.
    for mark in ("\\", "`", "*", "_", "<", "["):
        text = text.replace(mark, f"\\{mark}")
    return text
