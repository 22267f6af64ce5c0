"""What a source is: somewhere that holds questions and their answers already, read one record at a time.

    Source.records()  -->  Record       what becomes a sample
                      -->  BadRecord    what cannot, with its place and the reason
                      -->  PassedOver   what the source's own options leave out

Add one by writing one file here with one subclass of `Source`; its name in YAML is the file's name.
Records come in an order that stays when more are added at the end, and memory stays flat.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
from pydantic import Field

from polytune.engine.step import Scope
from polytune.fingerprint import canonical
from polytune.formats.interface import Turn
from polytune.registry import Family
from polytune.sources._convert import Columns as Columns
from polytune.sources._convert import ImportOrigin as ImportOrigin
from polytune.sources._convert import RefusedRow as RefusedRow
from polytune.sources._convert import imported as imported
from polytune.spec.model import MemberSpec


class SourceSpec(MemberSpec):
    """One place that records are collected from."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]*$")] = ""
    """What samples and tables call this source; its kind when not stated."""
    weight: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    """Its share of the mixture, relative to the other sources' weights. The mixture then ends with the first
    source that has no more; without weights everything of every source is taken."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """At most so many records, the first ones."""


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A question and its answer."""

    file: str
    """The file relative to the workspace, or an S3 address."""
    line: int
    """Where in it the record begins, from 1."""
    prompt: str
    """The last question."""
    answer: str
    system: str = ""
    """The system prompt; '' when the record states none."""
    earlier: tuple[Turn, ...] = ()
    """What was said before the question."""
    rating: float | None = None
    """A judgement, higher is better; None when there is none."""
    teacher: str = ""
    """Who answered; '' when the record does not say."""


class BadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is no question with an answer."""

    file: str
    line: int
    path: str
    """Where in the record, as a JSON path or a column; '' for all of it."""
    reason: str
    fix: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " + (f"{self.path}: " if self.path else "")
        return f"{where}{self.reason}. {self.fix}".rstrip()


class PassedOver(msgspec.Struct, frozen=True):
    """A record that the source's options leave out."""

    reason: str
    """The same for all records that are left out for it."""


Found = Record | BadRecord | PassedOver


class Source(ABC):
    """Reads records."""

    Spec: ClassVar[type[SourceSpec]]

    def __init__(self, spec: SourceSpec, files: Mapping[str, Path], scope: Scope) -> None:
        """`files` holds the absolute path of each `InputFile` of the spec, by field name."""
        self.files = files
        self.scope = scope

    def missing(self) -> str:
        """What keeps it from being read on this machine, and the remedy; '' when nothing does."""
        return ""

    def listing(self) -> str:
        """A digest of what is there to be read now, where that is more than the spec's own files.

        '' where nothing is, or when it cannot be looked at.
        """
        return ""

    @abstractmethod
    def records(self) -> Iterator[Found]:
        """Every record, in order. Raises DataError for a file that cannot be read at all."""

    def shown(self, path: Path) -> str:
        """A file as records name it: relative to the workspace where it is inside, else by its name."""
        root = self.scope.root
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def digest_of_files(paths: Iterable[Path], folder: Path) -> str:
    """One digest of files by name below the folder, size and time of change: another listing has another."""
    running = hashlib.sha256()
    for path in paths:
        stat, name = path.stat(), path.relative_to(folder).as_posix()
        running.update(canonical([name, stat.st_size, stat.st_mtime_ns]) + b"\n")
    return running.hexdigest()


SOURCES: Family[Source] = Family("sources", "source", Source)
