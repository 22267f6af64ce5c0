"""The interface of sources: each reads existing questions with answers, one record at a time.

    Source.records()  -->  Record       becomes a sample
                      -->  BadRecord    cannot be used; has its place and the reason
                      -->  PassedOver   left out by the source's own options

To add one, write one file here with one subclass of `Source`; its name in YAML is the file's name. The order
of records must not change when more are added at the end, and memory use must be constant.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
from pydantic import Field

from polytune.engine.step import Scope
from polytune.errors import Obstacle
from polytune.formats.interface import Turn
from polytune.registry import Family
from polytune.sources._convert import Columns as Columns
from polytune.sources._convert import ImportOrigin as ImportOrigin
from polytune.sources._convert import RefusedRow as RefusedRow
from polytune.sources._convert import imported as imported
from polytune.spec.model import MemberSpec


class SourceSpec(MemberSpec):
    """One source of records."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]*$")] = ""
    """The source's name in samples and tables. Default: its kind."""
    weight: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    """Its share of the mixture, relative to the weights of the other sources. The mixture then ends when the
    first source is exhausted; without weights all records of all sources are used."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """The maximum number of records; the first ones are used."""


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A question and its answer."""

    file: str
    """The file, relative to the workspace, or an S3 address."""
    line: int
    """The line on which the record begins, from 1."""
    prompt: str
    """The last question."""
    answer: str
    system: str = ""
    """The system prompt; '' when the record states none."""
    earlier: tuple[Turn, ...] = ()
    """The turns before the question."""
    rating: float | None = None
    """A rating, higher is better; None when there is none."""
    teacher: str = ""
    """Who wrote the answer; '' when the record does not say."""


class BadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that is not a question with an answer."""

    file: str
    line: int
    path: str
    """The place in the record, as a JSON path or a column; '' for the whole record."""
    reason: str
    fix: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " + (f"{self.path}: " if self.path else "")
        return f"{where}{self.reason}. {self.fix}".rstrip()


class PassedOver(msgspec.Struct, frozen=True):
    """A record that the source's options leave out."""

    reason: str
    """The same text for all records with this reason, so that they can be counted by it."""


Found = Record | BadRecord | PassedOver


class Source(ABC):
    """Reads records."""

    version: ClassVar[int] = 1
    """Raise it when the same spec would give a different row: it is in the keys of steps that use it."""
    Spec: ClassVar[type[SourceSpec]]

    def __init__(self, spec: SourceSpec, files: Mapping[str, Path], scope: Scope) -> None:
        """`files` has the absolute path of each input file and folder of the spec, by field name."""
        self.files = files
        self.scope = scope

    @property
    def is_here(self) -> bool:
        """Whether its records are on this machine, so that reading a few is quick and asks nobody."""
        return True

    def missing(self) -> Obstacle | None:
        """Why it cannot be read on this machine; None also when only reading would show it."""
        return None

    def listing(self) -> str:
        """A digest of what can be read now, for sources outside this machine.

        '' when there is nothing, or when it cannot be checked.
        """
        return ""

    @abstractmethod
    def records(self) -> Iterator[Found]:
        """Every record, in order. Raises DataError for a file that cannot be read at all."""

    def recorded(self, shown: str) -> str:
        """A file's name in outputs: its path in the folder that the spec names, or as shown.

        '' for a file that the spec itself names. Its content is in the step's key but its name is not, so the
        name must not be in an output either.
        """
        for path in self.files.values():
            named = self.shown(path)
            if shown == named or shown.startswith(f"{named}/"):
                return shown.removeprefix(named).removeprefix("/")
        return shown

    def shown(self, path: Path) -> str:
        """A file's name in messages: relative to the workspace if it is inside, else the bare file name."""
        root = self.scope.root
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


SOURCES: Family[Source] = Family("sources", "source", Source)
