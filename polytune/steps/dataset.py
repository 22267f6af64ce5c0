"""dataset: turns files in a training layout into a dataset to validate, upload and train on.

Rows are kept as they are, including images, videos, tools and several turns. Only the addresses of media
files on this machine are replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import IO, Annotated, Any, ClassVar
from zlib import crc32

import msgspec
from pydantic import AfterValidator, Field

from polytune.data.format.format import Split, provenance_name, split_names
from polytune.data.format.splits import Placer, Shares
from polytune.data.hashes import Repeats, RowTable, bare, stable_hash
from polytune.data.lines import blocks
from polytune.engine.step import Outcome, Scope, Step, Work
from polytune.errors import DataError, Obstacle
from polytune.files import published
from polytune.formats.interface import FORMATS, Conversation, Format, unreadable
from polytune.spec.model import CatalogueName, FieldProblem, Inherited, InputFile, InputFolder, Spec
from polytune.steps import _media as media

looked_at = 20
"""Rows of a file that a plan reads for the media that they name."""

Share = Annotated[float, Field(ge=0, le=1)]


class DivisionSpec(Spec):
    """Shares of the prompts; they must add up to 1."""

    train: Share = 0.8
    """Share that the model is trained on."""
    validation: Share = 0.1
    """Share on which the loss is measured during training."""
    test: Share = 0.1
    """Share on which base and custom model are compared; it is never uploaded."""

    def problems(self) -> list[FieldProblem]:
        """Report shares that do not add up or leave nothing to train on."""
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-9:
            return [FieldProblem("", f"the shares must add up to 1, not {total:g}")]
        return [] if self.train > 0 else [FieldProblem("train", "must be above 0")]


class DatasetSpec(Spec):
    """Uses files that are already in a training layout."""

    layout: Annotated[str, CatalogueName("formats"), AfterValidator(FORMATS.checked)] = (
        "bedrock-conversation-2024"
    )
    """Record layout of all files: a name in `formats/`."""
    train: InputFile
    """Rows to train on; with `split`, all rows."""
    validation: InputFile | None = None
    """Rows on which the loss is measured during training."""
    test: InputFile | None = None
    """Rows on which base and custom model are compared; they are never uploaded."""
    split: DivisionSpec | None = None
    """How to divide the rows of one file, each prompt into one split; instead of `validation` and `test`."""
    media: InputFolder | None = None
    """Folder, relative to this file, of images and videos that rows name by their path in it (`file:a.png`);
    they are stored with the dataset."""
    seed: Annotated[int, Inherited()] = 0
    """Determines which prompts go into which split."""

    def problems(self) -> list[FieldProblem]:
        """Report two ways to divide the rows, or media for a layout that cannot name files."""
        found = []
        if self.split is not None and (self.validation or self.test):
            found.append(FieldProblem("split", "splits one file; remove `validation` and `test`"))
        if self.media is not None and not media.names_files(FORMATS.load(self.layout)()):
            found.append(FieldProblem("media", f"rows of {self.layout} name no files"))
        return found


class DatasetStep(Step):
    """A dataset: one file per split and `provenance.jsonl`, which records the origin of each row."""

    version = 1
    Spec = DatasetSpec
    spec: DatasetSpec
    consumes: ClassVar = {}
    produces = "Dataset"

    def __init__(self, spec: DatasetSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.media = files.get("media")

    def missing(self) -> Obstacle | None:
        """Return that a file is missing which one of the first rows names."""
        if self.media is None:
            return None
        gathering = media.Gathering(self.media, self.media)
        layout = FORMATS.load(self.spec.layout)("optional")
        for field in self._stated():
            for number, line in islice(_lines(self.files[field]), looked_at):
                try:
                    if unreadable(line, number) is None:
                        gathering.check(line, layout, f"{self._shown(field)}:{number}")
                except DataError as lost:
                    return Obstacle(str(lost), field="media")
        return None

    async def run(self, work: Work) -> Outcome:
        """Stream every file once."""
        writing = await asyncio.to_thread(self._written, work.folder)
        rows = {f"{split}.jsonl": count for split, count in writing.rows.items()}
        gathered = writing.gathering
        folder = (media.folder_name,) if gathered and gathered.files else ()
        figures = {"media_files": gathered.files, "media_bytes": gathered.size} if gathered else {}
        return Outcome(
            files=(*rows, provenance_name, *folder),
            records={**rows, provenance_name: sum(rows.values())},
            facts={"layout": self.spec.layout, "system": writing.system},
            metrics={"rows": dict(writing.rows), **figures},
        )

    def _written(self, folder: Path) -> Writing:
        gathering = media.Gathering(self.media, folder) if self.media else None
        splits = _divided(self.spec.split) if self.spec.split else list(self._stated())
        writing = Writing(FORMATS.load(self.spec.layout)("optional"), splits, gathering)
        with ExitStack() as opened:
            files = {split: opened.enter_context(published(folder / f"{split}.jsonl")) for split in splits}
            provenance = opened.enter_context(published(folder / provenance_name))
            for row in self._rows(writing, splits):
                writing.write(row, files, provenance)
        return writing

    def _stated(self) -> Iterator[Split]:
        yield from (split for split in split_names if split in self.files)

    def _rows(self, writing: Writing, splits: list[Split]) -> Iterator[SplitRow]:
        """Yield every line of every file with its split."""
        if self.spec.split is not None:
            shares = [getattr(self.spec.split, split) for split in splits]
            sides = Sides(writing.layout, Placer(Shares(shares), self.spec.seed))
            for number, line in _lines(self.files["train"]):
                place = FilePlace("train", self._shown("train"), number)
                yield SplitRow(splits[sides.of(line, number)], place, line)
            return
        for split in splits:
            for number, line in _lines(self.files[split]):
                yield SplitRow(split, FilePlace(split, self._shown(split), number), line)

    def _shown(self, field: str) -> str:
        path, root = self.files[field], self.scope.root
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


@dataclass(frozen=True)
class FilePlace:
    """Where a row comes from."""

    field: str
    """The field of the spec that names the file: what outputs say, since the file's name is in no key."""
    file: str
    """The file as messages show it."""
    number: int

    def __str__(self) -> str:
        return f"{self.file}:{self.number}"


@dataclass(frozen=True)
class SplitRow:
    """One line, its split, and where it comes from."""

    split: Split
    place: FilePlace
    line: bytes


class SplitOrigin(msgspec.Struct, frozen=True):
    """One line of `provenance.jsonl`, as `format` writes it; `template` is the row's original place."""

    split: str
    line: int
    sample: str
    cell: dict[str, str]
    template: str
    request: str


class Writing:
    """Writes the rows and keeps count."""

    def __init__(self, layout: Format, splits: list[Split], gathering: media.Gathering | None) -> None:
        self.layout = layout
        self.gathering = gathering
        self.rows: dict[Split, int] = dict.fromkeys(splits, 0)
        self._repeats = Repeats()
        self._systems: set[str] = set()
        """At most two: more need not be known."""

    @property
    def system(self) -> str:
        """The system prompt of all rows; '' when there is none or they differ."""
        return next(iter(self._systems)) if len(self._systems) == 1 else ""

    def write(self, row: SplitRow, files: Mapping[Split, IO[bytes]], provenance: IO[bytes]) -> None:
        """Write the row to its file. Raises DataError for a missing media file."""
        line = self._readdressed(row)
        self._look(line, row.place.number)
        self.rows[row.split] += 1
        digest = sha256(line).hexdigest()
        origin = SplitOrigin(
            split=row.split,
            line=self.rows[row.split],
            sample=f"{digest[:16]}-{self._repeats.before(digest)}",
            cell={},
            template=f"{row.place.field}:{row.place.number}",
            request=digest,
        )
        files[row.split].write(line + b"\n")
        provenance.write(msgspec.json.encode(origin) + b"\n")

    def _readdressed(self, row: SplitRow) -> bytes:
        # An unreadable row is kept as it is: `validate` reports it with its place.
        if self.gathering is None or unreadable(row.line, row.place.number) is not None:
            return row.line
        return self.gathering.line(row.line, self.layout, str(row.place))

    def _look(self, line: bytes, number: int) -> None:
        if len(self._systems) < 2:
            said = self.layout.clean(line) or self.layout.check(line, number).conversation
            self._systems.add((said.system or "") if said else "")


class Sides:
    """Assigns each row to a side of a split; all rows with the same prompt go to the same side."""

    def __init__(self, layout: Format, placer: Placer) -> None:
        self._layout = layout
        self._placer = placer
        self._cell = placer.new_cell()
        self._table = RowTable()

    def of(self, line: bytes, number: int) -> int:
        """Return the side of one row, by its position among the shares."""
        prompt = bare(self._prompt(line, number))
        (tag,) = self._table.add(
            [stable_hash(prompt)],
            [stable_hash(line)],
            # Called for new prompts only. Tags start at 1: 0 marks an empty slot of the table.
            lambda _: self._placer.place(self._cell, crc32(prompt)) + 1,
        )
        return abs(tag) - 1

    def _prompt(self, line: bytes, number: int) -> str:
        """Return the prompt, including media; the whole row if it is unreadable."""
        said = self._layout.clean(line)
        if said is not None:
            return _asked(said)
        said = self._layout.check(line, number).conversation
        if said is None:
            return line.decode(errors="replace")
        # Two rows with the same question about different pictures are different prompts.
        return "\0".join((_asked(said), *(each.uri for each in self._layout.references_of(line))))


def _asked(said: Conversation) -> str:
    """Return all turns up to the answer."""
    turns = said.turns[:-1] if said.turns[-1].role == "assistant" else said.turns
    return "\0".join(turn.text for turn in turns)


def _divided(split: DivisionSpec) -> list[Split]:
    return [name for name in split_names if getattr(split, name) > 0]


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    found: Any = chain.from_iterable(enumerate(block.lines, block.first) for block in blocks(path))
    yield from found
