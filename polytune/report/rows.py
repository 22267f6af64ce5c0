"""Compares the datasets of two runs row by row: aligned by provenance, counted by split, with sample rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from polytune.data.lines import blocks
from polytune.engine.comparand import Comparand
from polytune.engine.rowdiff import Alignment, DatasetRow, DatasetSide, GroupCount, Move, RowPlace, align
from polytune.errors import DataError
from polytune.formats.interface import FORMATS, Conversation, Format
from polytune.report.shape import DatasetDifference, RowPair, ShownRow, Value

provenance_name = "provenance.jsonl"
dataset_type = "Dataset"
extension = ".jsonl"


class RowProvenance(msgspec.Struct, frozen=True, gc=False):
    """The place of a sample's row in the dataset."""

    split: str
    line: int
    sample: str


class ShownRowOrigin(msgspec.Struct, frozen=True):
    """What a row was made from, as recorded in the provenance file."""

    sample: str = ""
    cell: dict[str, Value] = {}
    template: str = ""


_provenance = msgspec.json.Decoder(RowProvenance)
_origin = msgspec.json.Decoder(ShownRowOrigin)


@dataclass(frozen=True)
class DatasetFiles:
    """The files of one dataset."""

    provenance: Path
    splits: Mapping[str, Path]
    layout: Format

    def rows(self) -> Iterator[DatasetRow]:
        """Every row, in the order of the provenance file. Raises DataError if the files do not match."""
        # An iterator, read again for every pass: a dataset may be larger than memory.
        for where, content in self.lines():
            known = _provenance.decode(where)
            yield DatasetRow(known.sample, known.split, known.line, content)

    def lines(self) -> Iterator[tuple[bytes, bytes]]:
        """Every line of the provenance file with the row that it describes."""
        # Within a split, provenance and rows are in the same order, so reading both in step needs no index.
        readers = {split: _lines(path) for split, path in self.splits.items()}
        for where in _lines(self.provenance):
            split = _provenance.decode(where).split
            content = next(readers[split], None) if split in readers else None
            if content is None:
                raise DataError(f"{self.provenance}: names rows that {split}{extension} does not have")
            yield where, content

    def prompt(self, row: DatasetRow) -> str:
        """The prompt of the row: its turns before the last one; '' if the row is invalid."""
        try:
            return _prompt(self.layout.decode(row.content))
        except DataError:
            return ""

    def shown(self, places: Iterable[RowPlace]) -> dict[RowPlace, ShownRow]:
        """The complete rows at these places."""
        wanted = set(places)
        found: dict[RowPlace, ShownRow] = {}
        for where, content in self.lines() if wanted else ():
            known = _provenance.decode(where)
            place = RowPlace(known.split, known.line)
            if place in wanted:
                found[place] = self._shown(place, _origin.decode(where), content)
                if len(found) == len(wanted):
                    break
        return found

    def _shown(self, place: RowPlace, origin: ShownRowOrigin, content: bytes) -> ShownRow:
        # An old run may hold rows that today's format refuses. Show the row without its text.
        try:
            said = self.layout.decode(content)
        except DataError:
            said = Conversation(None, ())
        return ShownRow(
            split=place.group,
            line=place.line,
            sample=origin.sample,
            cell=origin.cell,
            template=origin.template,
            system=said.system or "",
            prompt=_prompt(said),
            answer=said.turns[-1].text if said.turns else "",
        )


def _lines(path: Path) -> Iterator[bytes]:
    for block in blocks(path):
        yield from block.lines


def _prompt(said: Conversation) -> str:
    return "\n\n".join(turn.text for turn in said.turns[:-1])


def dataset_differences(old: Comparand, new: Comparand, shown: int) -> Iterator[DatasetDifference]:
    """The comparison of every dataset that both runs produced and that differs."""
    for name, step in new.steps.items():
        before, after = old.steps.get(name), step
        made = [each.report.output if each and each.report else None for each in (before, after)]
        # Equal digests mean equal bytes, so nothing needs to be read.
        if made[0] is None or made[1] is None or made[0].digest == made[1].digest:
            continue
        if made[0].type == made[1].type == dataset_type:
            yield _compared(name, old, new, shown)


def _compared(step: str, old: Comparand, new: Comparand, shown: int) -> DatasetDifference:
    before, after = _files(old, step), _files(new, step)
    if before is None or after is None:
        lacking = old if before is None else new
        note = f"rows not aligned: the dataset of {lacking.name} is no longer here"
        return DatasetDifference(step=step, splits=tuple(_counts(step, old, new)), note=note)
    alignment = align(DatasetSide(before.rows, before.prompt), DatasetSide(after.rows, after.prompt), shown)
    return _told(step, alignment, before, after)


def _files(side: Comparand, step: str) -> DatasetFiles | None:
    """The dataset; None if files are missing or its rows have no provenance."""
    report = side.steps[step].report
    assert report is not None
    assert report.output is not None
    layout = report.output.facts.get("layout")
    names = [name for name in side.entries(step) if name.endswith(extension) and name != provenance_name]
    paths = {name.removesuffix(extension): side.output(step, name) for name in names}
    provenance = side.output(step, provenance_name)
    splits = {split: path for split, path in paths.items() if path is not None}
    # Garbage collection may have deleted some of the files. Without all of them, rows would look removed.
    if provenance is None or len(splits) < len(paths) or layout is None:
        return None
    return DatasetFiles(provenance, splits, FORMATS.load(layout)())


def _counts(step: str, old: Comparand, new: Comparand) -> Iterator[GroupCount]:
    entries = old.entries(step), new.entries(step)
    for name in dict.fromkeys((*entries[0], *entries[1])):
        if name != provenance_name:
            counts = [each[name].records or 0 if name in each else 0 for each in entries]
            yield GroupCount(name=name.removesuffix(extension), old=counts[0], new=counts[1])


def _told(step: str, found: Alignment, old: DatasetFiles, new: DatasetFiles) -> DatasetDifference:
    moves = [*found.changed, *found.moved]
    before = old.shown([*found.removed, *(move.old for move in moves)])
    after = new.shown([*found.added, *(move.new for move in moves)])

    def pairs(moves: Iterable[Move]) -> tuple[RowPair, ...]:
        return tuple(RowPair(old=before[move.old], new=after[move.new]) for move in moves)

    return DatasetDifference(
        step=step,
        splits=tuple(found.groups[name] for name in _in_file_order(found, new)),
        same=found.same,
        aligned_by_prompt=found.by_content,
        added=tuple(after[place] for place in found.added),
        removed=tuple(before[place] for place in found.removed),
        changed=pairs(found.changed),
        moved=pairs(found.moved),
    )


def _in_file_order(found: Alignment, new: DatasetFiles) -> list[str]:
    """The names of the splits: train, validation, test, then others by name."""
    usual = ["train", "validation", "test"]
    others = sorted(found.groups.keys() - set(usual))
    return [name for name in (*usual, *others) if name in found.groups]
