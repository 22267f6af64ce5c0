"""A Hugging Face dataset on disk: written by `save_to_disk` (Arrow), or a folder of Parquet files.

my-dataset/train/data-00000-of-00001.arrow        my-dataset/data/train-00000-of-00002.parquet
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from polytune.data.reading import row_of
from polytune.engine.step import Scope
from polytune.errors import DataError, Obstacle, Unavailable
from polytune.extras import install_command
from polytune.sources._rows import At, FieldsSpec, record_of_object, record_of_row
from polytune.sources.interface import Found, Source, SourceSpec
from polytune.spec.model import InputFolder

library = "pyarrow"
endings = (".arrow", ".parquet")
cached = ("cache-", "tmp")
"""Prefixes of the cache files that the `datasets` library keeps next to a dataset."""
rows_at_once = 1024


class HuggingfaceSpec(SourceSpec):
    """A dataset folder; nothing is downloaded from the Hub."""

    folder: InputFolder
    """The folder, relative to this file."""
    split: str = "train"
    """The split, if the folder has several."""
    fields: FieldsSpec = FieldsSpec()
    """The columns of the parts of a record, if they do not have the usual names."""


class Huggingface(Source):
    """Reads the rows of one split."""

    Spec = HuggingfaceSpec

    def __init__(self, spec: HuggingfaceSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.spec = spec
        self.folder = files["folder"]

    def missing(self) -> Obstacle | None:
        """The missing library."""
        if importlib.util.find_spec(library) is None:
            cause = f"reading Arrow and Parquet needs {library}"
            return Obstacle(cause, f"Run `{install_command('huggingface', library)}`")
        return None

    def records(self) -> Iterator[Found]:
        """One record per row, file after file; a row's number in its file is its line."""
        if lacking := self.missing():
            raise Unavailable(str(lacking))
        files = self._files()
        if not files:
            what = f"holds no {' or '.join(endings)} files of a split '{self.spec.split}'"
            raise DataError(f"{self.spec.folder}: {what}. Name the folder and the split.")
        for path in files:
            for number, row in enumerate(_rows(path, self.shown(path)), 1):
                yield self._record(row, At(self.shown(path), number))

    def _files(self) -> list[Path]:
        """The files in the split's folder, else those named after it, else all if no split is named."""
        if (self.folder / self.spec.split).is_dir():
            return _data_in(self.folder / self.spec.split)
        found = _data_in(self.folder)
        named = [path for path in found if path.name.startswith(f"{self.spec.split}-")]
        flat = all(path.parent == self.folder for path in found) and self.spec.split == "train"
        return named or (found if flat else [])

    def _record(self, row: dict[str, Any], at: At) -> Found:
        # A table has every column in every row: null is the same as an absent key.
        held = {name: value for name, value in row.items() if value is not None}
        if self.spec.fields.stated:
            return record_of_object(held, at, self.spec.fields)
        try:
            return record_of_row(row_of(msgspec.json.encode(held), at.line), at)
        except TypeError as error:
            return at.bad("", f"holds a value that is no JSON: {error}", "Name the text columns: `fields:`.")


def _data_in(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.suffix in endings and path.is_file())
    return sorted(path for path in found if not path.name.startswith(cached))


def _rows(path: Path, shown: str) -> Iterator[dict[str, Any]]:
    """Every row as a dict. Raises DataError for a file that pyarrow cannot read."""
    try:
        for batch in _batches(path):
            yield from batch.to_pylist()
    except (OSError, ValueError) as error:
        raise DataError(f"{shown}: cannot be read: {error}. Save the dataset again.") from error


def _batches(path: Path) -> Iterator[Any]:
    """Batches of about a thousand rows; pyarrow raises OSError and ValueError."""
    if path.suffix == ".parquet":
        yield from importlib.import_module("pyarrow.parquet").ParquetFile(path).iter_batches(rows_at_once)
        return
    arrow = importlib.import_module("pyarrow")
    with arrow.memory_map(str(path)) as mapped:
        for batch in arrow.ipc.open_stream(mapped):
            for start in range(0, batch.num_rows, rows_at_once):
                yield batch.slice(start, rows_at_once)
