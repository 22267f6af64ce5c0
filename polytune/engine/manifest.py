"""The manifest: what one run did, as sorted JSON suited to git and `diff`; valid after a crash.

The whole file is rewritten at every step transition. If it says `running` and its process is gone, the run
can be resumed.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import msgspec

from polytune.engine.artifacts import Artifact, Facts, KeyRecord
from polytune.engine.former import current, former_key, is_former
from polytune.engine.ledger import RunRow, Usage
from polytune.engine.selection import Flags
from polytune.engine.workspace import Workspace
from polytune.errors import UsageError
from polytune.files import write_whole

schema_version = 1


class StepStatus(StrEnum):
    """The status of a step in a run."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    CACHED = "cached"
    FAILED = "failed"
    SKIPPED = "skipped"
    STOPPED = "stopped"
    WAITING = "waiting"
    """Its job is still running, and the run was told not to wait for it."""

    @property
    def complete(self) -> bool:
        """Whether the step's artifact exists."""
        return self in (StepStatus.DONE, StepStatus.CACHED)

    @property
    def open(self) -> bool:
        """Whether `resume` continues the step although nothing failed."""
        return self in (StepStatus.PENDING, StepStatus.STOPPED, StepStatus.WAITING)


class StepCost(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars; None where a price is unknown."""

    estimated_low: float | None = None
    estimated_high: float | None = None
    actual: float | None = None


class StepReport(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to one step in one run."""

    kind: str
    status: StepStatus = StepStatus.PENDING
    key: str = ""
    record: KeyRecord | None = None
    """What was hashed into the key."""
    because: tuple[str, ...] = ()
    """Why it ran."""
    from_run: str = ""
    """`experiment/run` that made the artifact, if it was cached."""
    inputs: dict[str, str] = {}
    """Digest of the artifact at each port."""
    output: Artifact | None = None
    output_digest: str = ""
    metrics: Facts = {}
    resources: dict[str, str] = {}
    usage: Usage = Usage()
    cost: StepCost = StepCost()
    attempts: int = 0
    started_at: str = ""
    finished_at: str = ""
    seconds: float = 0.0
    accepted: bool = False
    message: str = ""
    """Why it failed, stopped or was skipped."""
    notes: tuple[str, ...] = ()
    """What to know about it, such as inputs that were not observed. In no digest."""


class GitSource(msgspec.Struct, frozen=True, kw_only=True):
    """The git commit of an experiment's folder. Recorded, never hashed."""

    commit: str = ""
    dirty: bool = False


class Consent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the user has agreed that a run may cost."""

    yes: bool = False
    """`--yes`: the price that the plan states, without being asked."""
    usd: float | None = None
    """The US dollars that were agreed to on a terminal."""
    max_usd: float | None = None
    """`--max-usd`: the whole run may spend this much."""
    agree: tuple[str, ...] = ()
    """Steps whose ongoing hourly cost was agreed to."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one experiment."""

    schema: int = schema_version
    run_id: str
    experiment: str
    project: str = ""
    description: str = ""
    tags: dict[str, str] = {}
    status: str
    """`running`, `done`, `failed`, `stopped` (by a signal), `paused` or `waiting` (for a remote job)."""
    rehearsal: bool = False
    """True when an emulator was used instead of the cloud: losses and answers are synthetic."""
    path: str
    """The experiment file, relative to the workspace."""
    spec: Facts
    """The resolved experiment; secrets are references."""
    origins: dict[str, str]
    """Where each value of the spec was set; values that are not listed are defaults."""
    flags: Flags = Flags()
    """The step selection that the run was started with."""
    overrides: tuple[str, ...] = ()
    """`--set` arguments."""
    consent: Consent = Consent()
    """What the run may cost, also when it is resumed."""
    polytune: str
    """The version of polytune that ran it."""
    python: str
    host: str
    git: GitSource
    started_at: str
    finished_at: str = ""
    steps: dict[str, StepReport]
    order: tuple[str, ...]


class _Versioned(msgspec.Struct):
    """The part that manifests of every schema version have."""

    schema: int


def encode(manifest: Manifest) -> bytes:
    """Return the JSON: sorted keys, two-space indentation, one newline at the end."""
    # Sorted, so that two manifests differ in git only where the runs differ.
    ordered = msgspec.json.encode(manifest, order="sorted")
    return msgspec.json.format(ordered, indent=2) + b"\n"


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Replace the file with this manifest, atomically and durably."""
    write_whole(path, encode(manifest))


def read_manifest(path: Path) -> Manifest:
    """Read a manifest. Raises UsageError when it is missing, invalid or of a newer schema."""
    try:
        content = path.read_bytes()
        # The version first: a newer manifest should be refused as newer, not as invalid.
        schema = msgspec.json.decode(content, type=_Versioned).schema
        if schema > schema_version:
            raise UsageError(f"{path}: manifest schema {schema} is newer than this polytune; upgrade it")
        return _with_current_records(msgspec.json.decode(content, type=Manifest))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such manifest") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a manifest ({error})") from error


def row_of(manifest: Manifest, folder: Path, workspace: Workspace) -> RunRow:
    """Return the run in a folder as the ledger lists it."""
    return RunRow(
        run_id=manifest.run_id,
        experiment=manifest.experiment,
        status=manifest.status,
        started_at=manifest.started_at,
        folder=workspace.relative(folder),
        source=manifest.path,
    )


def _with_current_records(manifest: Manifest) -> Manifest:
    """Return the manifest with the key records and keys of today's format."""
    steps = {name: _with_current_record(report) for name, report in manifest.steps.items()}
    return msgspec.structs.replace(manifest, steps=steps)


def _with_current_record(report: StepReport) -> StepReport:
    if report.record is None or not is_former(report.record):
        return report
    record = current(report.record)
    # A key that never fitted its record keeps not fitting: the manifest was edited.
    key = record.key if report.key == former_key(report.record) else report.key
    return msgspec.structs.replace(report, record=record, key=key)


def manifest_schema() -> Facts:
    """Return the JSON Schema (draft 2020-12) of manifests."""
    schema = msgspec.json.schema(Manifest)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "polytune run manifest",
        **schema,
    }
