"""Garbage collection: finds what no kept run needs, and removes it only when asked.

    kept       the latest runs of every experiment, runs in progress, and every run whose output one of
               these uses, however far back
    removed    all other runs with their results, then what only those needed: objects, storage,
               folders of collected jobs, free locks, unfinished outputs
    untouched  answers, and everything under a lock

While a run is in progress, nothing that it may still use is removed: no object, no storage, and no run with
a result that fits one of its steps.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import msgspec

from polytune.engine.artifacts import Artifact
from polytune.engine.compiled import CompiledStep, read_compiled
from polytune.engine.ledger import Ledger, Result
from polytune.engine.locks import exclusive, holder, try_lock
from polytune.engine.manifest import Manifest, read_manifest
from polytune.engine.processes import ProcessResult
from polytune.engine.workspace import Workspace, compiled_name, lock_name, manifest_name
from polytune.errors import UsageError
from polytune.files import remove_tree

RunName = tuple[str, str]
"""Experiment and run id."""

token_key_digits = 32
file_scheme = "file:"


class RemovalKind(StrEnum):
    """What a removal removes."""

    RUN = "run"
    OBJECT = "object"
    STORAGE = "storage"
    JOB = "job"
    PARTIAL = "partial"
    LOCK = "lock"


@dataclass(frozen=True)
class Removal:
    """One file or folder that no kept run needs."""

    kind: RemovalKind
    path: Path
    bytes: int
    run: RunName | None = None
    """The run, if a run is removed."""


@dataclass(frozen=True)
class Garbage:
    """Everything that may be removed."""

    removals: tuple[Removal, ...]
    kept_runs: int
    keep: int
    """How many of each experiment's runs stay."""
    live: tuple[str, ...]
    """Ids of runs in progress."""

    @property
    def bytes(self) -> int:
        """Total size of the removals."""
        return sum(removal.bytes for removal in self.removals)


@dataclass(frozen=True)
class _Run:
    """One run, from its folder and the ledger; either may be missing."""

    name: RunName
    folder: Path
    manifest: Manifest | None
    live: bool
    results: list[Result] = field(default_factory=list)

    def artifacts(self) -> Iterator[Artifact]:
        """Yield every output that the run made or reused."""
        yield from (result.artifact for result in self.results)
        reports = self.manifest.steps.values() if self.manifest else ()
        yield from (report.output for report in reports if report.output is not None)

    def digests(self) -> Iterator[str]:
        """Yield the digest of everything the run made, reused, or read from files that its spec names."""
        for artifact in self.artifacts():
            yield from (entry.digest for entry in artifact.files.values())
        for result in self.results:
            yield from result.record.files.values()
        for report in self.manifest.steps.values() if self.manifest else ():
            yield from report.record.files.values() if report.record else ()

    def resources(self) -> Iterator[str]:
        """Yield the URIs of everything outside its folder that belongs to the run."""
        for result in self.results:
            yield from result.resources.values()
        for report in self.manifest.steps.values() if self.manifest else ():
            yield from report.resources.values()


def find_garbage(workspace: Workspace, ledger: Ledger, keep: int) -> Garbage:
    """Return what may be removed if the latest `keep` runs of every experiment stay. Removes nothing."""
    runs = _runs(workspace, ledger)
    kept = _kept(runs, keep)
    gone = [run for name, run in sorted(runs.items()) if name not in kept]
    staying = [runs[name] for name in sorted(kept)]
    live = tuple(run.name[1] for run in staying if run.live)
    counted: set[tuple[int, int]] = set()
    found = [
        *((RemovalKind.RUN, run.folder, run.name) for run in gone),
        # A live run may reuse any object before its manifest says so.
        *((RemovalKind.OBJECT, path, None) for path in ([] if live else _objects(workspace, staying))),
        *((RemovalKind.STORAGE, path, None) for path in ([] if live else _storage(workspace, gone, staying))),
        *((RemovalKind.JOB, path, None) for path in _jobs(workspace, ledger)),
        *((RemovalKind.PARTIAL, path, None) for path in _partials(staying)),
        *((RemovalKind.LOCK, path, None) for path in _locks(workspace)),
    ]
    removals = tuple(Removal(kind, path, _bytes(path, counted), name) for kind, path, name in found)
    return Garbage(removals, len(staying), keep, live)


def remove(garbage: Garbage, workspace: Workspace, ledger: Ledger) -> tuple[Removal, ...]:
    """Remove the garbage, except what has come into use meanwhile; return what was removed.

    Runs and their results go first, so that the ledger never names something that was removed.
    """
    # A run that starts announces itself under this lock. So either it is seen here, or it starts after the
    # removal and finds what is gone.
    with exclusive(workspace.removal_lock):
        again = find_garbage(workspace, ledger, garbage.keep)
        unneeded = {(each.kind, each.path) for each in again.removals}
        still = [each for each in garbage.removals if (each.kind, each.path) in unneeded]
        return tuple(each for each in still if _removed(each, workspace, ledger))


def _removed(removal: Removal, workspace: Workspace, ledger: Ledger) -> bool:
    match removal.kind:
        case RemovalKind.RUN:
            return _run_removed(removal, ledger)
        case RemovalKind.JOB:
            return _removed_under_lock(removal.path, removal.path / "lock")
        case RemovalKind.LOCK:
            return _removed_under_lock(removal.path, removal.path)
        case RemovalKind.PARTIAL:
            return _removed_under_lock(removal.path, removal.path.parent / lock_name)
        case RemovalKind.OBJECT | RemovalKind.STORAGE:
            _delete(removal.path)
            _prune(removal.path.parent, workspace.runs)
            return True


def _run_removed(removal: Removal, ledger: Ledger) -> bool:
    assert removal.run is not None
    if not removal.path.is_dir():
        ledger.delete_runs([removal.run[1]])
        return True
    # The run may have been resumed since it was listed. Its lock decides, not the list.
    with try_lock(removal.path / lock_name, "gc") as lock:
        if lock is None:
            return False
        # Ledger before files: after a crash in between, the next gc finds the folder again. The other order
        # would leave results whose outputs do not exist.
        ledger.delete_runs([removal.run[1]])
        _delete(removal.path)
    _prune(removal.path.parent, removal.path.parent.parent)
    return True


def _removed_under_lock(path: Path, lock_path: Path) -> bool:
    # The file is removed while its lock is held; `try_lock` detects a lock file that was removed under it.
    with try_lock(lock_path, "gc") as lock:
        if lock is not None:
            _delete(path)
        return lock is not None


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    else:
        path.unlink(missing_ok=True)


def _prune(folder: Path, top: Path) -> None:
    """Remove empty folders upwards, up to `top`, which stays."""
    while folder != top and folder.is_relative_to(top):
        try:
            folder.rmdir()
        except OSError:
            # Not empty: something else still uses it.
            return
        folder = folder.parent


# which runs stay


def _runs(workspace: Workspace, ledger: Ledger) -> dict[RunName, _Run]:
    """Return every run that has a folder or is in the ledger."""
    results: dict[RunName, list[Result]] = {}
    for result in ledger.results():
        results.setdefault((result.experiment, result.run_id), []).append(result)
    names = {(row.experiment, row.run_id) for row in ledger.runs()} | results.keys()
    names |= {(folder.parent.name, folder.name) for folder in run_folders(workspace)}
    return {name: _run(workspace, name, results.get(name, [])) for name in names}


def run_folders(workspace: Workspace) -> list[Path]:
    """Return the folder of every run that has begun, sorted by path."""
    # A crash right after the start leaves only compiled.json; that folder is a run too.
    names = (compiled_name, manifest_name)
    found = {path.parent for name in names for path in workspace.runs.glob(f"[!.]*/[!.]*/{name}")}
    return sorted(found)


def _run(workspace: Workspace, name: RunName, results: list[Result]) -> _Run:
    folder = workspace.run_folder(*name)
    try:
        manifest = read_manifest(folder / manifest_name)
    except UsageError:
        manifest = None
    return _Run(name, folder, manifest, holder(folder / lock_name) is not None, results)


def _kept(runs: dict[RunName, _Run], keep: int) -> set[RunName]:
    """Return each experiment's latest runs, those in progress, what may serve them, and all they use."""
    by_experiment: dict[str, list[RunName]] = {}
    for name in sorted(runs, reverse=True):
        by_experiment.setdefault(name[0], []).append(name)
    waiting = [name for names in by_experiment.values() for name in names[:keep]]
    live = [run for run in runs.values() if run.live]
    waiting += [run.name for run in live]
    waiting += _may_serve(live, runs.values())
    kept: set[RunName] = set()
    # Transitively: a cached output lies in the folder of the run that made it, which may itself be old.
    while waiting:
        name = waiting.pop()
        if name in runs and name not in kept:
            kept.add(name)
            waiting += _linked(runs[name])
    return kept


def _linked(run: _Run) -> set[RunName]:
    """Return the runs whose folders hold this run's outputs."""
    places = (Path(entry.path).parts for artifact in run.artifacts() for entry in artifact.files.values())
    return {(parts[1], parts[2]) for parts in places if len(parts) > 3 and parts[0] == "runs"}


def _may_serve(live: Iterable[_Run], runs: Iterable[_Run]) -> list[RunName]:
    """Return runs with a result that a run in progress may reuse for a later step."""
    steps = [step for run in live for step in _steps(run.folder / compiled_name)]
    return [run.name for run in runs if any(_fits(r, s) for r in run.results for s in steps)]


def _steps(compiled: Path) -> tuple[CompiledStep, ...]:
    try:
        return read_compiled(compiled).steps
    except (OSError, msgspec.DecodeError):
        return ()


def _fits(result: Result, step: CompiledStep) -> bool:
    record = result.record
    # Inputs and files are not compared: those of a later step are not known yet. Keeping too much is safe.
    wanted = (step.kind, step.version, step.spec, step.facts)
    return (record.kind, record.version, record.spec, record.facts) == wanted


# what only removed runs needed


def _objects(workspace: Workspace, staying: Iterable[_Run]) -> list[Path]:
    """Return stored objects that no kept run names, and copies that were never finished."""
    needed = {digest for run in staying for digest in run.digests()}
    found = sorted(workspace.objects.glob("*/*"))
    return [path for path in found if f"{path.parent.name}{path.name}" not in needed]


def _storage(workspace: Workspace, gone: Iterable[_Run], staying: Iterable[_Run]) -> list[Path]:
    """Return storage in the workspace that belongs to removed runs and to no kept one."""
    needed = {uri for run in staying for uri in run.resources()}
    unneeded = {uri for run in gone for uri in run.resources()} - needed
    # Only files on this machine. Cloud resources cost money to make again, and are the user's to delete.
    local = [uri.removeprefix(file_scheme) for uri in sorted(unneeded) if uri.startswith(file_scheme)]
    paths = [Path(os.path.normpath(workspace.root / path)) for path in local]
    return [path for path in paths if _is_storage(path, workspace) and path.exists()]


def _is_storage(path: Path, workspace: Workspace) -> bool:
    """Whether the path is below a hidden folder of `runs/`, the only place where a platform stores files.

    URIs come from manifests, which anyone can edit; nothing outside is ever removed.
    """
    inside = path.relative_to(workspace.runs).parts if path.is_relative_to(workspace.runs) else ()
    return len(inside) > 1 and inside[0].startswith(".")


def _jobs(workspace: Workspace, ledger: Ledger) -> list[Path]:
    """Return folders of jobs that have ended, and whose result is in the ledger or was never written."""
    found = [folder for folder in sorted(workspace.jobs.glob("*")) if folder.is_dir()]
    return [
        folder
        for folder in found
        if holder(folder / "lock") is None and (_collected(folder.name, ledger) or not _completed(folder))
    ]


def _collected(token: str, ledger: Ledger) -> bool:
    key = token.rpartition("-")[0]
    if len(key) != token_key_digits:
        return False
    found = ledger.connection.execute("SELECT 1 FROM results WHERE substr(key, 1, ?) = ?", (len(key), key))
    return found.fetchone() is not None


def _completed(folder: Path) -> bool:
    """Whether the job left a result. It was paid for and may not have been collected yet."""
    try:
        content = (folder / "result.json").read_bytes()
        return msgspec.json.decode(content, type=ProcessResult).status == "completed"
    except (OSError, msgspec.DecodeError):
        return False


def _partials(staying: Iterable[_Run]) -> list[Path]:
    """Return what unfinished attempts left behind. Runs in progress are skipped: theirs are in use."""
    endings = (".*.partial", ".*.tmp")
    quiet = [run.folder for run in staying if not run.live]
    return [path for folder in quiet for ending in endings for path in sorted(folder.glob(ending))]


def _locks(workspace: Workspace) -> list[Path]:
    """Return lock files that no process holds."""
    return [path for path in sorted(workspace.locks.glob("*")) if holder(path) is None]


def _bytes(path: Path, counted: set[tuple[int, int]]) -> int:
    """Return the size of the file, or of all files in the folder; each inode counts once."""
    if not path.is_dir() or path.is_symlink():
        return _own_bytes(path, counted)
    inside = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
    return sum(_own_bytes(file, counted) for file in inside)


def _own_bytes(path: Path, counted: set[tuple[int, int]]) -> int:
    try:
        stat = path.lstat()
    except OSError:
        return 0
    inode = (stat.st_dev, stat.st_ino)
    if inode in counted:
        return 0
    # A file with two names (hard links) frees its space once.
    counted.add(inode)
    return stat.st_size
