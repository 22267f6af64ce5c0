"""What a run uses, for `gc`: a part of its manifest and of its results, read without the rest of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from polytune.engine.artifacts import Artifact
from polytune.engine.ledger import Ledger
from polytune.engine.manifest import schema_version


class _RecordFiles(msgspec.Struct, frozen=True):
    files: dict[str, str] = {}


class _Made(msgspec.Struct, frozen=True):
    """The part of a result, or of a step's report in a manifest, that says what the step used."""

    record: _RecordFiles | None = None
    artifact: Artifact | None = None
    output: Artifact | None = None
    resources: dict[str, str] = {}


class _ManifestSteps(msgspec.Struct, frozen=True):
    schema: int
    steps: dict[str, _Made]


@dataclass(frozen=True)
class Uses:
    """What one run made, reused, or read from files that its spec names."""

    digests: frozenset[str]
    """Of the contents of files."""
    paths: frozenset[str]
    """Of outputs, relative to the workspace; they may be in the folder of another run."""
    resources: frozenset[str]
    """URIs of what belongs to the run outside its folder."""


_manifests = msgspec.json.Decoder(_ManifestSteps)
_results = msgspec.json.Decoder(_Made)


def uses(ledger: Ledger, run_id: str, manifest: Path) -> Uses:
    """Return what a run uses, by the ledger and by its manifest; either may know nothing of it."""
    made = [*_reported(manifest), *(_results.decode(body) for body in ledger.result_bodies(run_id))]
    outputs = [each for part in made for each in (part.artifact, part.output) if each is not None]
    files = [entry for output in outputs for entry in output.files.values()]
    read = (digest for part in made if part.record for digest in part.record.files.values())
    return Uses(
        digests=frozenset(read).union(entry.digest for entry in files),
        paths=frozenset(entry.path for entry in files),
        resources=frozenset(uri for part in made for uri in part.resources.values()),
    )


def _reported(manifest: Path) -> Iterator[_Made]:
    try:
        found = _manifests.decode(manifest.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return
    if found.schema <= schema_version:
        yield from found.steps.values()
