"""How a comparison is put into words: the phrases that the text page and the Markdown page share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from polytune.engine.difference import (
    First,
    Relation,
    StepDifference,
    Structure,
    ValueChange,
    short,
)
from polytune.engine.textdiff import compare_texts
from polytune.report.shape import (
    AnswerCount,
    CellChange,
    Difference,
    EvaluationDifference,
    MetricChange,
    RowPair,
    ShownRow,
    SideName,
    Spending,
    Tally,
    Value,
)

shown_cells = 4
shown_prompt_characters = 72
row_parts = ("system", "prompt", "answer")


def first_words(first: First | None) -> str:
    """`generate, count 600 -> 1000`"""
    if first is None:
        return "no difference"
    return f"{first.step}, {first.cause}" if first.step else f"{first.cause}, and no step depends on it"


def side_words(side: SideName) -> str:
    """`strudel-v2   20261121T...`, or a file's path."""
    return f"{side.experiment}   {side.run_id}" if side.run_id else f"{side.experiment}   {side.path}"


def value_words(change: ValueChange) -> str:
    """`600 -> 1000`; for lists what came and went."""
    lists = [_list(change.old), _list(change.new)]
    if lists[0] is not None and lists[1] is not None:
        gone = [f"-{item}" for item in lists[0] if item not in lists[1]]
        come = [f"+{item}" for item in lists[1] if item not in lists[0]]
        return short(" ".join((*come, *gone)) or "another order")
    return f"{short(change.old)} -> {short(change.new)}"


def _list(value: str | None) -> list[str] | None:
    try:
        found = msgspec.json.decode(value or "", type=list[Value])
    except msgspec.DecodeError:
        return None
    return [str(item) for item in found]


def is_text(change: ValueChange) -> bool:
    """Whether a value is a text of several lines on both sides, better shown as hunks."""
    return "\n" in (change.old or "") and "\n" in (change.new or "")


def origin_words(change: ValueChange) -> str:
    """`v2.yaml:8 -> v3.yaml:7`; one place when both are the same, `default` where no file says it."""
    places = [
        origin or ("default" if value is not None else "")
        for origin, value in ((change.old_origin, change.old), (change.new_origin, change.new))
    ]
    stated = [place for place in places if place]
    return " -> ".join(dict.fromkeys(stated))


def step_words(step: StepDifference, old: SideName) -> str:
    """What a step's relation comes to, besides its name."""
    match step.relation:
        case Relation.CHANGED:
            tail = ", and yet the same output" if step.same_output else ""
            return ", ".join(_change_name(change) for change in step.changes) + tail + _unequal(step)
        case Relation.FOLLOWS:
            tail = ", and yet the same output" if step.same_output else ""
            return ", ".join(step.follows) + tail + _unequal(step)
        case Relation.UNFINISHED:
            return f"{step.old_status} -> {step.new_status}"
        case Relation.UNSTABLE:
            return "the same key, and yet another output"
        case Relation.SAME if step.reused_from:
            return f"reused from {'A' if step.reused_from == _run(old) else step.reused_from}"
        case _:
            return ""


def _change_name(change: ValueChange) -> str:
    group, _, name = change.path.partition(".")
    return name if group in ("spec", "facts") else change.path.replace(".", " ", 1)


def _unequal(step: StepDifference) -> str:
    if step.old_status == step.new_status or not (step.old_status and step.new_status):
        return ""
    complete = {"done", "cached"}
    both = step.old_status in complete and step.new_status in complete
    return "" if both else f"   ({step.old_status} -> {step.new_status})"


def _run(side: SideName) -> str:
    return f"{side.experiment}/{side.run_id}"


def answer_words(count: AnswerCount) -> str:
    """`60 of 100 reused, 40 asked`"""
    total = count.new_asked + count.new_reused
    return f"{count.new_reused:,} of {total:,} reused, {count.new_asked:,} asked"


def cell_words(cell: Mapping[str, Value]) -> str:
    """`jazz, medium`"""
    return ", ".join(str(value) for value in cell.values())


def row_words(row: ShownRow) -> str:
    """`train:12   jazz, medium   jazz/4   Write a ...`"""
    prompt = " ".join(row.prompt.split())
    cut = prompt if len(prompt) <= shown_prompt_characters else f"{prompt[: shown_prompt_characters - 3]}..."
    parts = (f"{row.split}:{row.line}", cell_words(row.cell), row.template, cut)
    return "   ".join(part for part in parts if part)


def pair_hunks(pair: RowPair) -> Iterator[str]:
    """The lines of a changed row that are not the same, each part under its name."""
    for part in row_parts:
        old, new = str(getattr(pair.old, part)), str(getattr(pair.new, part))
        if old != new:
            lines = [line for line in compare_texts(old, new, context=0).hunks if not line.startswith("@@")]
            yield from (f"{part} {line}" for line in lines)


def metric_words(change: MetricChange) -> str:
    """`training_loss 0.231 -> 0.187 (-0.044, better)`"""
    remarks = [f"{change.delta:+.6g}"] if change.delta is not None else []
    remarks += [remark for remark in (change.direction, change.note) if remark]
    tail = f" ({', '.join(remarks)})" if remarks else ""
    return f"{change.name} {_number(change.old)} -> {_number(change.new)}{tail}"


def _number(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def tally_words(tally: Tally) -> str:
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
    """`on the 60 prompts in common 40/60 -> 52/60: `; '' when all are, or too few."""
    if found.pairing != "shared":
        return ""
    pair = f"{tally_words(found.shared_old)} -> {tally_words(found.shared_new)}"
    return f"on the {found.shared_new.n} prompts in common {pair}, "


def _signed(value: float) -> str:
    rounded = round(value)
    return f"{rounded:+d}" if rounded else "0"


def judge_words(found: EvaluationDifference) -> str:
    """Who judged; a warning when that is not the same."""
    old, new = found.judged_by
    return f"judged by {new}" if old == new else f"judged by {old} -> {new}: these figures do not compare"


def cells_words(found: EvaluationDifference) -> str:
    """`better in jazz +5/16, drums +4/16; worse in ambient -1/17`; '' when no cell differs."""
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
    if found.pairing == "none":
        return f"{cell.value} {tally_words(cell.old)} -> {tally_words(cell.new)}"
    return f"{cell.value} {cell.new.passed - cell.old.passed:+d}/{cell.new.n}"


def money_words(spending: tuple[Spending, Spending]) -> str:
    """`$11.90 -> $9.35`"""
    return " -> ".join("unknown" if each.usd is None else f"${each.usd:,.2f}" for each in spending)


def request_words(spending: tuple[Spending, Spending]) -> str:
    """`A asked 600 answers; B asked 400 and reused 600`"""
    told = []
    for name, each in zip("AB", spending, strict=True):
        reused = f" and reused {each.reused:,}" if each.reused else ""
        told.append(f"{name} asked {each.requests:,}{reused}")
    return "answers: " + "; ".join(told)


def ends_of(values: Iterable[ValueChange], structure: Structure) -> list[ValueChange]:
    """The values to list: those of several lines come as hunks instead."""
    return [value for value in values if not is_text(value)]


def has_figures(found: Difference) -> bool:
    """Whether both sides are runs."""
    return found.spending is not None
