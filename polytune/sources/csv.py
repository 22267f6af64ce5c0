"""A CSV or TSV file: the header names the columns, every further row is a record."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from polytune.data.lines import longest_line_bytes
from polytune.engine.step import Scope
from polytune.errors import DataError
from polytune.sources._rows import At, FieldsSpec, lacking_columns, record_of_object
from polytune.sources.interface import Found, Source, SourceSpec
from polytune.spec.model import FieldProblem, InputFile


class CsvSpec(SourceSpec):
    """A CSV file with a header."""

    path: InputFile
    """The file, in UTF-8."""
    fields: FieldsSpec = FieldsSpec()
    """The columns of the parts of a record, if they do not have the usual names."""
    delimiter: str = ""
    """The character between cells. Default: a tab for `.tsv` files, else a comma."""

    def problems(self) -> list[FieldProblem]:
        """Rejects a delimiter of several characters."""
        return [FieldProblem("delimiter", "must be one character")] if len(self.delimiter) > 1 else []


class Csv(Source):
    """Reads the rows of one table."""

    Spec = CsvSpec

    def __init__(self, spec: CsvSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.spec = spec

    def records(self) -> Iterator[Found]:
        """One record per row; a row's line number is that of its first line."""
        path = self.files["path"]
        csv.field_size_limit(longest_line_bytes)
        try:
            # surrogateescape: a cell that is not UTF-8 makes only its row unusable, not the whole file.
            with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
                yield from self._rows(file, self.shown(path))
        except OSError as error:
            raise DataError(
                f"{self.shown(path)}: cannot be read: {error.strerror}. Check the path."
            ) from error

    def _rows(self, file: Iterable[str], name: str) -> Iterator[Found]:
        rows = csv.reader(file, delimiter=self._delimiter(name), strict=True)
        try:
            header = [cell.strip() for cell in next(rows, [])]
            lacking = lacking_columns(header, self.spec.fields)
            if lacking:
                raise DataError(f"{name}:1: {lacking}.")
            at = At(name, rows.line_num + 1)
            for cells in rows:
                if cells:
                    yield self._record(dict(zip(header, cells, strict=False)), cells, at, len(header))
                at = At(name, rows.line_num + 1)
        except csv.Error as error:
            raise DataError(
                f"{name}:{rows.line_num}: not CSV: {error}. Quote the cell, or fix it."
            ) from error

    def _delimiter(self, name: str) -> str:
        return self.spec.delimiter or ("\t" if name.endswith(".tsv") else ",")

    def _record(self, row: Mapping[str, str], cells: list[str], at: At, columns: int) -> Found:
        if len(cells) != columns:
            what = f"{len(cells)} cells; the header has {columns}"
            return at.bad("", what, "Quote cells that hold the delimiter or a line end.")
        for column, cell in row.items():
            try:
                cell.encode()
            except UnicodeEncodeError:
                return at.bad(column, "the cell is not UTF-8", "Save the file as UTF-8.")
        return record_of_object({name: cell for name, cell in row.items() if cell}, at, self.spec.fields)
