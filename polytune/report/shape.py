"""The structure of a comparison, as printed by `polytune diff --json`. `schema` is its version.

Every list is in execution order or file order, so that equal runs give equal bytes.
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
"""The meaning of a change for the user; '' if a change is neither good nor bad."""


class SideName(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two sides of a comparison: a run or an experiment file."""

    experiment: str
    run_id: str
    """'' for an experiment file."""
    path: str
    """The experiment file."""


class AnswerCount(msgspec.Struct, frozen=True, kw_only=True):
    """The number of answers asked and reused by a step that differs, in each run."""

    step: str
    old_asked: int
    old_reused: int
    new_asked: int
    new_reused: int


class ShownRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a dataset with its provenance, as far as it is known."""

    split: str
    line: int
    sample: str
    cell: dict[str, Value]
    template: str
    system: str
    prompt: str
    answer: str


class RowPair(msgspec.Struct, frozen=True, kw_only=True):
    """One row, before and after."""

    old: ShownRow
    new: ShownRow


class DatasetDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Two datasets aligned by provenance: first by sample, then the remaining rows by prompt."""

    step: str
    splits: tuple[GroupCount, ...]
    same: int = 0
    """Rows with the same text in the same split."""
    aligned_by_prompt: int = 0
    """Rows with the same prompt but another sample (another teacher, another system prompt)."""
    added: tuple[ShownRow, ...] = ()
    """The first rows, limited by `--rows`, as are the next three lists."""
    removed: tuple[ShownRow, ...] = ()
    changed: tuple[RowPair, ...] = ()
    moved: tuple[RowPair, ...] = ()
    """Rows with the same text in another split."""
    note: str = ""
    """Why rows were not aligned, '' if they were. If not, the splits have only `old` and `new`."""


class MetricChange(msgspec.Struct, frozen=True, kw_only=True):
    """One metric that differs between the runs."""

    step: str
    name: str
    """The dotted name, as in the manifest."""
    old: float | None
    """None if the old run does not have the metric."""
    new: float | None
    delta: float | None
    direction: Direction = ""
    note: str = ""
    """Why the two values are not comparable; '' if they are."""


class PassCount(msgspec.Struct, frozen=True, kw_only=True):
    """The number of prompts that passed, out of `n`."""

    passed: int
    n: int


class CellChange(msgspec.Struct, frozen=True, kw_only=True):
    """Results of the prompts with one value on one axis of the matrix."""

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
    """The judge in each run. Results of different judges are not comparable."""
    old: PassCount
    new: PassCount
    pairing: Literal["all", "shared", "none"]
    """`all`: both runs have the same test prompts; `shared`: enough in common to pair; `none`: too few."""
    shared_old: PassCount
    """Results on the prompts that both runs have; so is `shared_new`."""
    shared_new: PassCount
    difference: float
    """Pass rate, new minus old, from -1 to 1; if paired, on the shared prompts."""
    low: float
    """Lower end of the 95% interval of `difference`."""
    high: float
    p: float | None
    """p-value of the two-sided exact McNemar test; None if unpaired."""
    direction: Direction
    cells: tuple[CellChange, ...] = ()
    """Cells whose pass rate differs; if paired, on the shared prompts."""


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """What one run paid itself. Reused results cost nothing."""

    usd: float | None
    """US dollars; None if any price is unknown."""
    requests: int
    reused: int


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that differs between two sides."""

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
    """The spending of the old and the new run; None unless both sides are runs."""


def name_of(side: Comparand) -> SideName:
    """The name of a side in the comparison."""
    mark = " (rehearsal)" if side.rehearsal else ""
    return SideName(experiment=side.experiment + mark, run_id=side.run_id, path=side.path)


def nothing(old: Comparand, new: Comparand, structure: Structure) -> Difference:
    """The comparison of two sides that do not differ."""
    return Difference(same=True, old=name_of(old), new=name_of(new), structure=structure)
