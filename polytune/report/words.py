"""The phrases of a comparison, shared by the text page and the Markdown page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from polytune.engine.difference import (
    First,
    Relation,
    StepDifference,
    ValueChange,
    change_text,
    unstable_words,
)
from polytune.engine.textdiff import compare_texts
from polytune.report.shape import (
    AnswerCount,
    CellChange,
    DatasetDifference,
    EvaluationDifference,
    MetricChange,
    PassCount,
    RowPair,
    ShownRow,
    SideName,
    Spending,
    Value,
)

# Limits that keep a comparison readable on a terminal; `--json` has everything.
shown_cells = 4
shown_prompt_characters = 72
most_row_lines = 6
row_parts = ("system", "prompt", "answer")


def first_words(first: First | None) -> str:
    """`generate, count 600 -> 1000`"""
    if first is None:
        return "no difference"
    return f"{first.step}, {first.cause}" if first.step else f"{first.cause}, and no step depends on it"


def side_cells(side: SideName) -> list[str]:
    """`strudel-v2` and its run id, or for an experiment file its path."""
    return [side.experiment, side.run_id or side.path]


def is_text(change: ValueChange) -> bool:
    """Whether a value has several lines on both sides, so that it is better shown as hunks."""
    return "\n" in (change.old or "") and "\n" in (change.new or "")


def origin_words(change: ValueChange) -> str:
    """`v2.yaml:8 -> v3.yaml:7`; one place if both are the same, `default` for a value that no file sets."""
    places = [
        origin or ("default" if value is not None else "")
        for origin, value in ((change.old_origin, change.old), (change.new_origin, change.new))
    ]
    stated = [place for place in places if place]
    return " -> ".join(dict.fromkeys(stated))


def step_words(step: StepDifference, old: SideName) -> str:
    """Details of a step's relation, to follow the relation's name."""
    match step.relation:
        case Relation.CHANGED:
            tail = ", but the output is the same" if step.same_output else ""
            return ", ".join(_change_name(change) for change in step.changes) + tail + _unequal(step)
        case Relation.FOLLOWS:
            tail = ", but the output is the same" if step.same_output else ""
            return ", ".join(step.follows) + tail + _unequal(step)
        case Relation.UNFINISHED:
            return f"{step.old_status} -> {step.new_status}"
        case Relation.UNSTABLE:
            return unstable_words
        case Relation.SAME if step.reused_from:
            return f"reused from {'A' if step.reused_from == _run(old) else step.reused_from}"
        case _:
            return ""


def _change_name(change: ValueChange) -> str:
    """The name of a spec value, which another section shows in full; for other changes the whole change."""
    group, _, name = change.path.partition(".")
    return name if group == "spec" else change_text(change)


def _unequal(step: StepDifference) -> str:
    if step.old_status == step.new_status or not (step.old_status and step.new_status):
        return ""
    # Both mean that the output exists; which of the two says nothing about the experiment.
    complete = {"done", "cached"}
    both = step.old_status in complete and step.new_status in complete
    return "" if both else f" ({step.old_status} -> {step.new_status})"


def _run(side: SideName) -> str:
    return f"{side.experiment}/{side.run_id}"


def answer_words(count: AnswerCount) -> str:
    """`60 of 100 reused, 40 asked`"""
    total = count.new_asked + count.new_reused
    return f"{count.new_reused:,} of {total:,} reused, {count.new_asked:,} asked"


def cell_words(cell: Mapping[str, Value]) -> str:
    """`jazz, medium`"""
    return ", ".join(str(value) for value in cell.values())


def row_cells(row: ShownRow, before: ShownRow | None = None) -> list[str]:
    """`train:12`, `jazz, medium`, `jazz/4`, `Write a ...`; with the previous place if the split changed."""
    prompt = " ".join(row.prompt.split())
    cut = prompt if len(prompt) <= shown_prompt_characters else f"{prompt[: shown_prompt_characters - 3]}..."
    moved = before is not None and before.split != row.split
    was = f"{before.split}:{before.line} -> " if before is not None and moved else ""
    return [f"{was}{row.split}:{row.line}", cell_words(row.cell), row.template, cut]


def pair_hunks(pair: RowPair) -> Iterator[str]:
    """The differing lines of a changed row, each with the name of the part it belongs to."""
    for part in row_parts:
        old, new = str(getattr(pair.old, part)), str(getattr(pair.new, part))
        # A system prompt is long and the same in all rows: one changed line would be repeated for every row.
        if part == "system" and old != new:
            found = compare_texts(old, new)
            yield f"system +{found.added} -{found.removed} lines"
            continue
        for line in compare_texts(old, new, context=0).hunks if old != new else ():
            if not line.startswith("@@"):
                yield f"{part:<6} {line}"


def row_lines(dataset: DatasetDifference, marks: str) -> list[str]:
    """Sample rows in columns, each after one of the four `marks`: added, removed, changed, moved."""
    rows = [[marks[0], *row_cells(row)] for row in dataset.added]
    rows += [[marks[1], *row_cells(row)] for row in dataset.removed]
    rows += [[marks[2], *row_cells(pair.new, pair.old)] for pair in dataset.changed]
    rows += [[marks[3], *row_cells(pair.new, pair.old)] for pair in dataset.moved]
    lines = columns(rows)
    first = len(dataset.added) + len(dataset.removed)
    # Backwards, so that inserting hunks does not shift the rows that are still to come.
    for place in reversed(range(len(dataset.changed))):
        hunks = [f"      {line}" for line in cut(list(pair_hunks(dataset.changed[place])), most_row_lines)]
        lines[first + place + 1 : first + place + 1] = hunks
    return lines


def cut(lines: Sequence[str], most: int) -> list[str]:
    """The first `most` lines, followed by the number of omitted lines, if any."""
    if len(lines) <= most:
        return list(lines)
    return [*lines[:most], f"... {len(lines) - most} more lines: --json has them"]


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines, with cells aligned in columns."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))] if rows else []
    return [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def metric_words(change: MetricChange) -> str:
    """`training_loss 0.231 -> 0.187 (-0.044, better)`"""
    remarks = [_signed_number(change.delta)] if change.delta is not None else []
    remarks += [remark for remark in (change.direction, change.note) if remark]
    tail = f" ({', '.join(remarks)})" if remarks else ""
    return f"{change.name} {_number(change.old)} -> {_number(change.new)}{tail}"


def _number(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def _signed_number(value: float) -> str:
    return f"{'+' if value > 0 else ''}{_number(value)}"


def tally_words(tally: PassCount) -> str:
    """`71/100`"""
    return f"{tally.passed}/{tally.n}"


def verdict_words(found: EvaluationDifference) -> str:
    """`+13 points, 95% interval +4 to +22, paired p = 0.006: better`"""
    points, low, high = (_signed(100 * value) for value in (found.difference, found.low, found.high))
    unit = "point" if points in ("+1", "-1") else "points"
    parts = [f"{points} {unit}", f"95% interval {low} to {high}"]
    parts.append(f"paired p = {found.p:.2g}" if found.p is not None else _unpaired(found))
    return f"{', '.join(parts)}: {found.direction}"


def _unpaired(found: EvaluationDifference) -> str:
    if not found.shared_new.n:
        return "unpaired, no test prompt in common"
    return f"unpaired, only {found.shared_new.n} test prompts in common"


def shared_words(found: EvaluationDifference) -> str:
    """`on the 60 prompts in common 40/60 -> 52/60, `; '' if all prompts are common, or too few."""
    if found.pairing != "shared":
        return ""
    pair = f"{tally_words(found.shared_old)} -> {tally_words(found.shared_new)}"
    return f"on the {found.shared_new.n} prompts in common {pair}, "


def _signed(value: float) -> str:
    # Whole points: the intervals of usual test splits are wider than any decimal.
    rounded = round(value)
    return f"{rounded:+d}" if rounded else "0"


def judge_words(found: EvaluationDifference) -> str:
    """Who judged, with a warning if the two runs had different judges."""
    old, new = found.judged_by
    return f"judged by {new}" if old == new else f"judged by {old} -> {new}: these figures are not comparable"


def cells_words(found: EvaluationDifference) -> str:
    """`better in jazz +5/16, drums +4/16; worse in ambient -1/17`; '' if no cell differs."""
    better = [cell for cell in found.cells if _gain(cell) > 0]
    worse = [cell for cell in found.cells if _gain(cell) < 0]
    parts = [f"better in {_cell_list(better, found)}"] if better else []
    parts += [f"worse in {_cell_list(worse, found)}"] if worse else []
    return "; ".join(parts)


def _gain(cell: CellChange) -> float:
    return cell.new.passed / cell.new.n - cell.old.passed / cell.old.n


def _cell_list(cells: list[CellChange], found: EvaluationDifference) -> str:
    shown = [_cell_change(cell, found) for cell in cells[:shown_cells]]
    more = len(cells) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _cell_change(cell: CellChange, found: EvaluationDifference) -> str:
    # Unpaired, the two sides have different numbers of prompts, so a difference of counts means nothing.
    if found.pairing == "none":
        return f"{cell.value} {tally_words(cell.old)} -> {tally_words(cell.new)}"
    return f"{cell.value} {cell.new.passed - cell.old.passed:+d}/{cell.new.n}"


def money_words(spending: tuple[Spending, Spending]) -> str:
    """`$11.90 -> $9.35`; `free` if neither run cost anything. An unknown cost is never shown as 0."""
    if not any(each.usd is None or each.usd for each in spending):
        return "free"
    return " -> ".join("unknown" if each.usd is None else f"${each.usd:,.2f}" for each in spending)


def request_words(spending: tuple[Spending, Spending]) -> str:
    """`A asked 600 answers; B asked 400 and reused 600`"""
    told = []
    for name, each in zip("AB", spending, strict=True):
        reused = f" and reused {each.reused:,}" if each.reused else ""
        told.append(f"{name} asked {each.requests:,}{reused}")
    return "answers: " + "; ".join(told)
