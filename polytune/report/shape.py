"""The shape of a whole comparison, as `polytune diff --json` prints it; `schema` counts its versions.

Every list is in running order or in the order of its files, so that equal runs give equal bytes.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from polytune.engine.comparand import Comparand
from polytune.engine.difference import Structure
from polytune.engine.rowdiff import GroupCount

schema_version = 1

Value = str | int | float | bool
Direction = Literal["better", "worse", "not distinguishable", ""]
"""What a change is for the user; '' where there is no such thing."""


class SideName(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two things compared."""

    experiment: str
    run_id: str
    """'' for an experiment file."""
    path: str
    """The experiment file."""


class AnswerCount(msgspec.Struct, frozen=True, kw_only=True):
    """Small paid calls of one step that differs, in each run."""

    step: str
    old_asked: int
    old_reused: int
    new_asked: int
    new_reused: int


class ShownRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a dataset with what is known of where it came from."""

    split: str
    line: int
    sample: str
    cell: dict[str, Value]
    template: str
    system: str
    prompt: str
    answer: str


class RowPair(msgspec.Struct, frozen=True, kw_only=True):
    """One row as it was and as it is."""

    old: ShownRow
    new: ShownRow


class DatasetDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Two datasets aligned by provenance: by sample, and what that leaves over by prompt."""

    step: str
    splits: tuple[GroupCount, ...]
    same: int = 0
    """Rows with the same text in the same split."""
    aligned_by_prompt: int = 0
    """Rows whose sample is another (another teacher, another system prompt) but whose prompt is the same."""
    added: tuple[ShownRow, ...] = ()
    """The first few, as `--rows` allows; so are the next three."""
    removed: tuple[ShownRow, ...] = ()
    changed: tuple[RowPair, ...] = ()
    moved: tuple[RowPair, ...] = ()
    """To another split, with the same text."""
    note: str = ""
    """Why rows were not aligned; the splits then hold only `old` and `new`."""


class MetricChange(msgspec.Struct, frozen=True, kw_only=True):
    """One figure that differs; None where a run does not have it."""

    step: str
    name: str
    """Dotted, as in the manifest."""
    old: float | None
    new: float | None
    delta: float | None
    direction: Direction = ""
    note: str = ""
    """What keeps the two figures from being comparable."""


class PassCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many of how many passed."""

    passed: int
    n: int


class CellChange(msgspec.Struct, frozen=True, kw_only=True):
    """Results among the prompts with one value on one axis of the matrix."""

    axis: str
    value: str
    old: PassCount
    new: PassCount


class EvaluationDifference(msgspec.Struct, frozen=True, kw_only=True):
    """One answerer under one grader, in both runs."""

    step: str
    grader: str
    answerer: str
    """base, custom, or a trivial rival."""
    judged_by: tuple[str, str]
    """In each run; figures of different judges do not compare."""
    old: PassCount
    new: PassCount
    pairing: Literal["all", "shared", "none"]
    """Whether both runs have the same test prompts, enough in common, or too few."""
    shared_old: PassCount
    """On the prompts that both runs have."""
    shared_new: PassCount
    difference: float
    """Pass rate, new minus old, from -1 to 1; on the shared prompts when paired."""
    low: float
    """Lower end of the 95% interval of `difference`."""
    high: float
    p: float | None
    """Two-sided exact McNemar test; None when unpaired."""
    direction: Direction
    cells: tuple[CellChange, ...] = ()
    """Cells whose pass rate differs: on the shared prompts when paired."""


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """What one run itself paid; what it reused costs nothing."""

    usd: float | None
    """None when some price is unknown."""
    requests: int
    reused: int


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in which two sides differ."""

    schema: int = schema_version
    same: bool
    old: SideName
    new: SideName
    structure: Structure
    answers: tuple[AnswerCount, ...] = ()
    datasets: tuple[DatasetDifference, ...] = ()
    metrics: tuple[MetricChange, ...] = ()
    evaluations: tuple[EvaluationDifference, ...] = ()
    spending: tuple[Spending, Spending] | None = None
    """Of the old and the new run; None unless both sides are runs."""


def name_of(side: Comparand) -> SideName:
    """The side as the comparison names it."""
    mark = " (rehearsal)" if side.rehearsal else ""
    return SideName(experiment=side.experiment + mark, run_id=side.run_id, path=side.path)


def nothing(old: Comparand, new: Comparand, structure: Structure) -> Difference:
    """The comparison of two sides that do not differ."""
    return Difference(same=True, old=name_of(old), new=name_of(new), structure=structure)
