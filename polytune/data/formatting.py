"""`format`: samples become the rows of train, validation and test, and a line of provenance for each.

One streaming pass: a sample is read, dropped if its prompt and answer have been seen, placed in its
prompt's split, written. What is kept between samples is two tables of hashes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Literal

import msgspec

from polytune.data.hashes import RowTable, bare, tag_mask
from polytune.data.lines import blocks, expected_lines
from polytune.data.samples import SampleRow, rows_of
from polytune.data.splits import Placer, Shares
from polytune.errors import DataError
from polytune.files import published
from polytune.fingerprint import canonical
from polytune.formats.interface import FORMATS, Conversation, Turn

Split = Literal["train", "validation", "test"]
split_names: tuple[Split, ...] = ("train", "validation", "test")
provenance_name = "provenance.jsonl"


class FormatOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How samples become rows."""

    format: str = "bedrock-conversation-2024"
    system: str = "full"
    """`full`: the system prompt that the teacher saw; `short`: `short_system`; `none`: no system prompt;
    any other text: that text."""
    short_system: str = ""
    train: float = 0.8
    validation: float = 0.1
    test: float = 0.1
    seed: int = 0


class FormatReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was written."""

    samples: int
    duplicates: int
    """Samples dropped because prompt and answer had been seen, whitespace aside."""
    prompts: int
    """Different prompts; each is in one split only."""
    rows: dict[Split, int]
    """Rows of each split that was asked for."""
    cells: int
    """Different matrix cells."""


class ProvenanceRow(msgspec.Struct, frozen=True, gc=False):
    """One line of `provenance.jsonl`: where a row came from."""

    split: Split
    line: int
    sample: str
    cell: msgspec.Raw
    template: str
    request: str


def format_samples(samples: Path, out: Path, options: FormatOptions) -> FormatReport:
    """`out` holds `<split>.jsonl` for each split with a share, and `provenance.jsonl`; all are durable.

    The same samples and options give the same bytes. Raises DataError at a line that is no sample, and
    for options that cannot be met.
    """
    formatting = Formatting(options, expected_lines(samples))
    with ExitStack() as files:
        writers = [files.enter_context(published(out / f"{name}.jsonl")) for name in formatting.splits]
        provenance = files.enter_context(published(out / provenance_name))
        for batch in _batches(samples, formatting):
            _write(writers, provenance, batch)
    return formatting.report()


class Batch:
    """The lines made of one block of samples, not yet written."""

    def __init__(self, splits: int) -> None:
        self.rows: list[list[bytes]] = [[] for _ in range(splits)]
        self.provenance: list[ProvenanceRow] = []


_encoder = msgspec.json.Encoder()


def _write(writers: list[IO[bytes]], provenance: IO[bytes], batch: Batch) -> None:
    for writer, rows in zip(writers, batch.rows, strict=True):
        if rows:
            rows.append(b"")
            writer.write(b"\n".join(rows))
    provenance.write(_encoder.encode_lines(batch.provenance))


def _batches(samples: Path, formatting: Formatting) -> Iterator[Batch]:
    for block in blocks(samples):
        batch = Batch(len(formatting.splits))
        for sample in rows_of(block, samples):
            formatting.add(sample, batch)
        yield batch


class Formatting:
    """What is known of the samples so far."""

    def __init__(self, options: FormatOptions, expected: int) -> None:
        ratios = {"train": options.train, "validation": options.validation, "test": options.test}
        self.splits = tuple(name for name in split_names if ratios[name])
        self._format = FORMATS.load(options.format)()
        self._system = _system_of(options)
        self._salt = f"polytune.split.v1:{options.seed}:".encode()
        self._placer = Placer(Shares([ratios[name] for name in self.splits]))
        self._table = RowTable(expected)
        self._cells: dict[bytes, int] = {}
        self._lines = [0] * len(self.splits)
        self._samples = 0

    def add(self, sample: SampleRow, batch: Batch) -> None:
        """The sample's row and provenance are in the batch, unless it is a duplicate."""
        self._samples += 1
        prompt = bare(sample.prompt)
        key, row = hash(prompt), hash((prompt, bare(sample.answer)))
        slot = self._table.find(key)
        tag = self._table.slots[slot] & tag_mask
        if not tag:
            tag = self._placer.place(self._cell(bytes(sample.cell)), self._salt + prompt) + 1
            self._table.begin(slot, key, tag, row)
        elif self._table.repeats(slot, row):
            return
        split = tag - 1
        turns = (Turn("user", sample.prompt), Turn("assistant", sample.answer))
        batch.rows[split].append(self._format.encode(Conversation(self._system(sample), turns)))
        self._lines[split] += 1
        batch.provenance.append(
            ProvenanceRow(
                self.splits[split],
                self._lines[split],
                sample.id,
                sample.cell,
                sample.template,
                sample.request,
            )
        )

    def report(self) -> FormatReport:
        """What has been added."""
        return FormatReport(
            samples=self._samples,
            duplicates=self._samples - sum(self._lines),
            prompts=sum(self._placer.counts),
            rows={name: self._lines[index] for index, name in enumerate(self.splits)},
            cells=self._placer.cells,
        )

    def _cell(self, written: bytes) -> int:
        """One number for a cell, however its keys are ordered."""
        number = self._cells.get(written)
        if number is None:
            key = canonical(msgspec.json.decode(written))
            number = self._cells[key] if key in self._cells else self._placer.new_cell()
            self._cells[written] = self._cells[key] = number
        return number


def _system_of(options: FormatOptions) -> Callable[[SampleRow], str | None]:
    """The system prompt of a row, given its sample."""
    if options.system == "full":
        return lambda sample: sample.system or None
    if options.system == "none":
        return lambda sample: None
    if options.system != "short":
        return lambda sample: options.system
    if not options.short_system.strip():
        raise DataError(
            "system: short: there is no short system prompt. State one with the prompts, or use full."
        )
    return lambda sample: options.short_system
