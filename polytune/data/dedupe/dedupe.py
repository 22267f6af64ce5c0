"""`dedupe`: finds rows that duplicate another row of the file, or a row of a held-out file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from polytune.data.dedupe.duplicates import Alike, Kind
from polytune.data.dedupe.row_texts import Joined, Part, RowTexts
from polytune.data.lines import blocks
from polytune.data.reading import Row, read_rows
from polytune.files import published


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """A row that duplicates another."""

    line: int
    of_file: str
    """The file of the row that is kept: the same file, or a held-out one."""
    of_line: int
    likeness: float


class DedupeReport(msgspec.Struct, frozen=True, kw_only=True):
    """The duplicates in a file."""

    file: str
    kind: Kind
    threshold: float | None
    """None when only exact duplicates are dropped."""
    compared: Part
    rows: int
    kept: int
    held_out: int
    """Rows dropped because they duplicate a row of a held-out file."""
    dropped: tuple[Dropped, ...]


def dedupe_file(
    path: Path, kind: Kind, threshold: float, part: Part = "row", held_out: Sequence[Path] = ()
) -> DedupeReport:
    """The rows to drop: of similar rows the one with the highest score is kept, the first one on a tie.

    Lines that cannot be read as rows are kept. Raises what `Alike` raises, and DataError when a file cannot
    be read.
    """
    # Held-out texts come first, so that their places are below `before` and they win every tie.
    others = [RowTexts(each, part) for each in held_out]
    own = RowTexts(path, part)
    before = sum(map(len, others))
    scores: list[float | None] = [None] * before
    scores += [row.score if isinstance(row, Row) else None for row in read_rows(path)]
    scored = any(score is not None for score in scores)
    alike = Alike(Joined(*others, own), kind, threshold)
    found = alike.kept(scores=scores if scored else None, held_out=before)
    places = [(str(each.path), line) for each in (*others, own) for line in range(1, len(each) + 1)]
    dropped = tuple(
        Dropped(
            line=duplicate.number - before + 1,
            of_file=places[duplicate.of][0],
            of_line=places[duplicate.of][1],
            likeness=duplicate.likeness,
        )
        for duplicate in found
    )
    return DedupeReport(
        file=str(path),
        kind=kind,
        threshold=threshold if kind == "near" else None,
        compared=part,
        rows=len(own),
        kept=len(own) - len(dropped),
        held_out=sum(duplicate.of < before for duplicate in found),
        dropped=dropped,
    )


def write_kept(report: DedupeReport, out: Path) -> None:
    """`out` contains the kept lines, byte for byte and in order; it may be the input file itself."""
    gone = {dropped.line for dropped in report.dropped}
    with published(out) as file:
        for block in blocks(Path(report.file)):
            for number, line in enumerate(block.lines, block.first):
                if number not in gone:
                    file.write(line + b"\n")
