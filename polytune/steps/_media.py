"""Media files on this machine that rows name by path: identified by content, later by storage address.

    file:pictures/a.png  --dataset-->  s3://polytune-media/sha256-<digest>/a.png
                         --upload--->  s3://<bucket>/...

The address in the middle stands for the bucket, which only `upload` knows. A dataset is thus the same for
every account, and rows are checked in the form in which they are sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from polytune.data.lines import blocks
from polytune.errors import DataError
from polytune.files import copy_whole, digest_of
from polytune.formats.interface import Format, MediaReference

folder_name = "media"
"""The folder of a dataset that holds the files, by the end of their address."""
waiting = "s3://polytune-media/"
"""The prefix of addresses of files that are not stored yet."""
keys = ("uri", "image-ref")
"""The keys under which rows name files."""
foreign = re.compile(r"[^A-Za-z0-9_.-]")
"""Characters that Bedrock rejects in the address of a media file."""


@dataclass(frozen=True)
class NamedFile:
    """A file that a row names."""

    line: int
    reference: MediaReference


def names_files(layout: Format) -> bool:
    """Whether rows of the layout can name files at all."""
    return type(layout).references is not Format.references


def named_files(path: Path, layout: Format) -> Iterator[NamedFile]:
    """Yield every file that the rows of a dataset's file name, in order."""
    if not names_files(layout):
        return
    for block in blocks(path):
        # A cheap search in the raw bytes first: most datasets are text only, and parsing every row is slow.
        if b"s3:" not in block.raw:
            continue
        for line, content in enumerate(block.lines, block.first):
            if b"s3:" in content:
                yield from (NamedFile(line, each) for each in layout.references_of(content))


def is_here(uri: str) -> bool:
    """Whether a row names a file on this machine: `file:a.png`, or a path without a scheme."""
    return uri.startswith("file:") or "://" not in uri


def place_of(uri: str) -> str:
    """Return the path in the dataset of a file that is not stored yet; '' for any other address."""
    return f"{folder_name}/{uri.removeprefix(waiting)}" if uri.startswith(waiting) else ""


def readdressed(line: bytes, addresses: Callable[[str], str | None]) -> bytes:
    """Return the row with new addresses of files; None keeps one. An unchanged row keeps its bytes."""
    before = msgspec.json.decode(line)
    after = _readdressed(before, addresses)
    return line if after == before else msgspec.json.encode(after)


def _readdressed(value: object, addresses: Callable[[str], str | None]) -> object:
    if isinstance(value, list):
        return [_readdressed(item, addresses) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key: (addresses(item) or item)
        if key in keys and isinstance(item, str)
        else _readdressed(item, addresses)
        for key, item in value.items()
    }


@dataclass
class Gathering:
    """Copies the files that rows name from a folder into a dataset."""

    folder: Path
    """The folder that paths in rows are relative to."""
    out: Path
    """The dataset's folder."""
    files: int = 0
    size: int = 0
    """Their total size in bytes."""
    _addresses: dict[str, str] = field(default_factory=dict)

    def line(self, line: bytes, layout: Format, place: str) -> bytes:
        """Copy the files that the row names; return it with their addresses. Raises DataError at `place`."""
        here = [each for each in layout.references_of(line) if is_here(each.uri)]
        for each in here:
            if each.uri not in self._addresses:
                self._addresses[each.uri] = self._gathered(each, place)
        return readdressed(line, self._addresses.get) if here else line

    def check(self, line: bytes, layout: Format, place: str) -> None:
        """Raise DataError at `place` if the row names a file that is not in the folder."""
        for each in layout.references_of(line):
            if is_here(each.uri):
                self._found(each, place)

    def _found(self, reference: MediaReference, place: str) -> Path:
        path = (self.folder / reference.uri.removeprefix("file:").removeprefix("//")).resolve()
        # Rows may come from elsewhere: `file:../../.ssh/id_rsa` must not end up in a training bucket.
        if not path.is_relative_to(self.folder.resolve()) or not path.is_file():
            what = f"{place}: {reference.field}: no file '{reference.uri}' in {self.folder.name}/"
            raise DataError(f"{what}. Name it relative to the media folder")
        return path

    def _gathered(self, reference: MediaReference, place: str) -> str:
        path = self._found(reference, place)
        digest = digest_of(path)
        address = f"{waiting}sha256-{digest}/{foreign.sub('-', path.name)}"
        target = self.out / place_of(address)
        if not target.exists():
            if copy_whole(path, target) != digest:
                raise DataError(
                    f"{place}: {reference.field}: {path.name} changed while it was read; run again"
                )
            self.files += 1
            self.size += target.stat().st_size
        return address
