"""upload: stores a checked dataset in the platform's storage, under names derived from its content."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec

from polytune.base_models.interface import BASE_MODELS, Media
from polytune.data.lines import blocks
from polytune.engine.artifacts import Artifact
from polytune.engine.step import KeyFacts, Outcome, Port, Work
from polytune.errors import DataError
from polytune.files import published, write_whole
from polytune.fingerprint import canonical
from polytune.formats.interface import FORMATS, MediaReference
from polytune.platforms.interface import Medium
from polytune.spec.model import Inherited
from polytune.steps import _media as media
from polytune.steps._platform import PlatformStep, PlatformStepSpec

splits = ("train", "validation")
"""The splits that a training job reads; the test split never leaves the workspace."""
report_name = "validation.json"
shown_problems = 8
stored_at_once = 8


class UploadSpec(PlatformStepSpec):
    """Stores the dataset where the platform's training reads it."""

    project: Annotated[str, Inherited()] = "default"
    """First part of every stored name."""


@dataclass(frozen=True)
class MediaPlace:
    """The place at which a row names a file."""

    split: str
    line: int
    reference: MediaReference


class _Report(msgspec.Struct):
    """The part of `validation.json` that names the base model whose limits apply."""

    base_model: str = ""


class UploadStep(PlatformStep):
    """A remote dataset: `remote.json` with the URI of each split."""

    version = 1
    Spec = UploadSpec
    spec: UploadSpec
    consumes: ClassVar = {"dataset": Port(("CheckedDataset",))}
    produces = "RemoteDataset"

    def key_facts(self) -> KeyFacts:
        """Return where the environment says to store."""
        return self.platform.key_facts()

    async def run(self, work: Work) -> Outcome:
        """Check every file that rows name, then upload what is not stored yet.

        Raises DataError when one of them cannot be used for training.
        """
        dataset = work.inputs["dataset"]
        files = {s: work.path("dataset", f"{s}.jsonl") for s in splits if f"{s}.jsonl" in dataset.files}
        named = await asyncio.to_thread(_named, files, dataset.facts["layout"])
        await self._check(named, work)
        addresses = await self._stored(named, work)
        sent = await asyncio.to_thread(_readdressed, files, addresses, work.folder) if addresses else files
        uris = await self.platform.store(self.spec.project, sent)
        size = sum(path.stat().st_size for path in sent.values())
        # Rewritten copies exist only to be sent; the dataset itself keeps its rows as they were checked.
        for path in sent.values() if addresses else ():
            path.unlink()
        write_whole(work.folder / "remote.json", canonical(uris) + b"\n")
        return Outcome(
            files=("remote.json",),
            facts={
                **dataset.facts,
                "uris": uris,
                "rows": {split: dataset.files[f"{split}.jsonl"].records for split in files},
            },
            resources=uris,
            metrics={"bytes": size, **({"media_files": len(named)} if named else {})},
        )

    async def _check(self, named: Mapping[str, MediaPlace], work: Work) -> None:
        """Raise DataError, naming the first few, when some files cannot be used for training."""
        if not named:
            return
        limits = _limits(work)
        asked = [_medium(uri, place.reference, limits, work) for uri, place in named.items()]
        problems = await self.platform.media_problems(asked)
        if not problems:
            return
        told = [
            f"{place.split}.jsonl:{place.line}: {place.reference.field}: {uri} {problems[uri]}"
            for uri, place in named.items()
            if uri in problems
        ]
        rest = [f"and {len(told) - shown_problems:,} more"] if len(told) > shown_problems else []
        first = f"{len(problems):,} of {len(named):,} media files cannot be trained on"
        raise DataError("\n".join([first, *told[:shown_problems], *rest]))

    async def _stored(self, named: Mapping[str, MediaPlace], work: Work) -> dict[str, str]:
        """Upload the files that come with the dataset; return their new addresses by the old ones."""
        # Files are sent in parallel, but a dataset of thousands must not open thousands of connections.
        free = asyncio.Semaphore(stored_at_once)

        async def store(uri: str) -> tuple[str, str]:
            path = work.path("dataset", media.place_of(uri))
            async with free:
                found = await self.platform.store(self.spec.project, {path.stem: path})
            return uri, found[path.stem]

        return dict(await asyncio.gather(*(store(uri) for uri in named if media.place_of(uri))))


def _named(files: Mapping[str, Path], layout: str) -> dict[str, MediaPlace]:
    """Return every file that rows name, with the first row that does."""
    found: dict[str, MediaPlace] = {}
    for split, path in files.items():
        for each in media.named_files(path, FORMATS.load(layout)("optional")):
            found.setdefault(each.reference.uri, MediaPlace(split, each.line, each.reference))
    return found


def _limits(work: Work) -> dict[str, Media]:
    """Return the media limits of the base model that the dataset was checked for, by kind of media."""
    report = msgspec.json.decode(work.path("dataset", report_name).read_bytes(), type=_Report)
    if report.base_model not in BASE_MODELS.names():
        return {}
    return {each.kind: each for each in BASE_MODELS.get(report.base_model).media}


def _medium(uri: str, reference: MediaReference, limits: Mapping[str, Media], work: Work) -> Medium:
    place = media.place_of(uri)
    dataset: Artifact = work.inputs["dataset"]
    if place and place not in dataset.files:
        raise DataError(f"{uri}: the dataset does not hold this file; run the step that makes it again")
    return Medium(
        uri=uri,
        kind=reference.kind,
        format=reference.format,
        allowed=limits.get(reference.kind),
        path=work.path("dataset", place) if place else None,
    )


def _readdressed(files: Mapping[str, Path], addresses: Mapping[str, str], folder: Path) -> dict[str, Path]:
    """Write copies of the files whose rows have the new addresses of media."""
    sent = {}
    for split, path in files.items():
        sent[split] = folder / path.name
        with published(sent[split]) as file:
            for line in _lines(path):
                named = media.waiting.encode() in line
                file.write((media.readdressed(line, addresses.get) if named else line) + b"\n")
    return sent


def _lines(path: Path) -> Iterator[bytes]:
    for block in blocks(path):
        yield from block.lines
