"""`format`: turns samples into rows of train, validation and test, with a line of provenance for each.

    samples.jsonl --blocks--> BlockPreparation --Prepared--> Formatting --Batch--> files
                              by worker processes       in order

One streaming pass: a sample is dropped if its prompt and answer were seen before; otherwise it is written to
its prompt's split. Only two hash tables are kept between blocks.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import IO, Literal

import msgspec

from polytune.data.format.block import BlockPreparation, Prepared
from polytune.data.format.block import FormatOptions as FormatOptions
from polytune.data.format.clusters import Criterion, Grouping
from polytune.data.format.splits import Placer, Shares
from polytune.data.hashes import RowTable
from polytune.data.lines import blocks, expected_lines
from polytune.data.samples import rows_of
from polytune.data.workers import WorkerPool, workers_for
from polytune.files import published
from polytune.fingerprint import canonical

Split = Literal["train", "validation", "test"]
split_names: tuple[Split, ...] = ("train", "validation", "test")
provenance_name = "provenance.jsonl"


class FormatReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was written."""

    samples: int
    duplicates: int
    """Samples dropped because prompt and answer were seen before, ignoring whitespace."""
    prompts: int
    """Distinct prompts; each is in one split only."""
    rows: dict[Split, int]
    """Rows in each requested split."""
    cells: int
    """Distinct matrix cells."""
    near_duplicates: int | None = None
    """Samples dropped because they nearly duplicate one that is kept; None when this was not checked."""
    clusters: int | None = None
    """Distinct clusters of samples; each is in one split only. None without clustering."""
    crossing_pairs: int | None = None
    """Pairs of similar samples in different splits: 0, or the step fails. None without clustering."""


def format_samples(
    samples: Path, out: Path, options: FormatOptions, *, workers: int | None = None
) -> FormatReport:
    """`out` contains `<split>.jsonl` for each split with a share, and `provenance.jsonl`; all are on disk.

    The same samples and options give the same bytes with any number of worker processes; None starts as many
    as are worthwhile. Raises DataError at a line that is not a sample and for options that cannot be met,
    Unavailable when near-duplicates are requested and the package that finds them is not installed.
    """
    formatting = Formatting(options, expected_lines(samples), grouping_of(samples, options))
    preparation = BlockPreparation(samples, options)
    with ExitStack() as opened:
        pool = opened.enter_context(WorkerPool(workers_for([samples]) if workers is None else workers))
        writers = [opened.enter_context(published(out / f"{name}.jsonl")) for name in formatting.splits]
        provenance = opened.enter_context(published(out / provenance_name))
        for prepared in pool.results(samples, preparation):
            _write(writers, provenance, formatting.add(prepared))
        return formatting.report()


def grouping_of(samples: Path, options: FormatOptions) -> Grouping | None:
    """The first pass over all samples; None when one pass is enough."""
    if options.dedupe == "exact" and options.cluster == "prompt":
        return None
    # Read only to find errors: a bad line must be reported before minutes of clustering.
    for block in blocks(samples):
        rows_of(block, samples)
    cluster = None if options.cluster == "prompt" else Criterion(options.cluster, options.cluster_threshold)
    return Grouping(samples, Criterion(options.dedupe, options.dedupe_threshold), cluster)


class Batch:
    """The lines for one block of samples, not yet written."""

    def __init__(self, splits: int) -> None:
        self.rows: list[list[bytes]] = [[] for _ in range(splits)]
        self.provenance: list[bytes] = []


def _write(writers: list[IO[bytes]], provenance: IO[bytes], batch: Batch) -> None:
    for file, lines in zip((*writers, provenance), (*batch.rows, batch.provenance), strict=True):
        if lines:
            lines.append(b"")
            file.write(b"\n".join(lines))


class Formatting:
    """The state of formatting after the samples so far."""

    def __init__(self, options: FormatOptions, expected: int, grouping: Grouping | None = None) -> None:
        ratios = {"train": options.train, "validation": options.validation, "test": options.test}
        self.splits = tuple(name for name in split_names if ratios[name])
        self._placer = Placer(Shares([ratios[name] for name in self.splits]), options.seed)
        self._table = RowTable(expected)
        self._cells: dict[bytes, int] = {}
        self._lines = [0] * len(self.splits)
        self._samples = 0
        self._prompts = 0
        self._grouping = grouping
        self._split_of: dict[int, int] = {}
        """The split of each cluster that has been placed."""
        self._openings = [b'{"split":"%b","line":' % name.encode() for name in self.splits]

    def add(self, prepared: Prepared) -> Batch:
        """The rows of the samples that are not duplicates, and their provenance."""
        if self._grouping is not None:
            return self._add_grouped(prepared, self._grouping)
        batch = Batch(len(self.splits))
        self._samples += len(prepared.rows)
        lines, openings, provenance = self._lines, self._openings, batch.provenance
        place, cell_of = self._placer.place, prepared.cell_of

        # Tags are splits counted from 1: the table reserves 0 for empty slots.
        def tag_of(index: int) -> int:
            self._prompts += 1
            return place(self._cell(prepared.cells[cell_of[index]]), prepared.marks[index]) + 1

        tags = self._table.add(prepared.prompts, prepared.pairs, tag_of)
        for tag, row, origin in zip(tags, prepared.rows, prepared.origins, strict=True):
            if tag > 0:
                split = tag - 1
                lines[split] += 1
                batch.rows[split].append(row)
                provenance.append(b"%b%d,%b" % (openings[split], lines[split], origin))
        return batch

    def _add_grouped(self, prepared: Prepared, grouping: Grouping) -> Batch:
        """Like `add`, but without the samples to drop, and with each cluster in one split."""
        batch = Batch(len(self.splits))
        for index, (row, origin) in enumerate(zip(prepared.rows, prepared.origins, strict=True)):
            number = self._samples
            self._samples += 1
            side = -1 if number in grouping.gone else self._placed(prepared, index, number)
            grouping.sides.append(side)
            if side >= 0:
                self._lines[side] += 1
                batch.rows[side].append(row)
                cluster = b'"cluster":%d,' % grouping.clusters[number] if grouping.clusters else b""
                place = b"%b%d,%b" % (self._openings[side], self._lines[side], cluster)
                batch.provenance.append(place + origin)
        return batch

    def _placed(self, prepared: Prepared, index: int, number: int) -> int:
        """The split of a sample; -1 if its prompt and answer were seen before."""
        assert self._grouping is not None
        clusters = self._grouping.clusters
        cell, mark = prepared.cells[prepared.cell_of[index]], prepared.marks[index]

        def tag_of(_: int) -> int:
            self._prompts += 1
            split = self._split_of.get(clusters[number]) if clusters else None
            if split is None:
                split = self._placer.place(self._cell(cell), mark)
                if clusters:
                    self._split_of[clusters[number]] = split
            return split + 1

        tag = self._table.add([prepared.prompts[index]], [prepared.pairs[index]], tag_of)[0]
        return tag - 1 if tag > 0 else -1

    def report(self) -> FormatReport:
        """The report on all samples so far. Raises StepFailed if similar samples are in different splits."""
        grouping = self._grouping
        near = len(grouping.gone) if grouping else 0
        crossing = grouping.crossing() if grouping else None
        return FormatReport(
            samples=self._samples,
            duplicates=self._samples - sum(self._lines) - near,
            prompts=self._prompts,
            rows={name: self._lines[index] for index, name in enumerate(self.splits)},
            cells=self._placer.cells,
            near_duplicates=near if grouping and grouping.drops_near else None,
            clusters=None if crossing is None else len(self._split_of),
            crossing_pairs=crossing,
        )

    def _cell(self, written: bytes) -> int:
        """The cell's number, the same for any order of its keys."""
        number = self._cells.get(written)
        if number is None:
            # Decoded once for each spelling of a cell; axes may be written in any order.
            key = canonical(msgspec.json.decode(written))
            number = self._cells[key] if key in self._cells else self._placer.new_cell()
            self._cells[written] = self._cells[key] = number
        return number
