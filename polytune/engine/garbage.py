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
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from polytune.engine.compiled import CompiledStep, read_compiled
from polytune.engine.ledger import Ledger, Result
from polytune.engine.locks import exclusive, holder, is_held, try_lock
from polytune.engine.processes import ProcessResult
from polytune.engine.uses import Uses, uses
from polytune.engine.workspace import Workspace, compiled_name, lock_name, manifest_name
from polytune.files import remove_tree

RunName = tuple[str, str]
"""Experiment and run id."""

token_key_digits = 32
runs_at_once = 200
"""Runs that are removed together. The lock of each is an open file."""
file_scheme = "file:"


class RemovalKind(StrEnum):
    """What a removal removes."""

    RUN = "run"
    OBJECT = "object"
    STORAGE = "storage"
    JOB = "job"
    PARTIAL = "partial"
    LOCK = "lock"


pruned = (RemovalKind.RUN, RemovalKind.OBJECT, RemovalKind.STORAGE)
"""What leaves empty folders behind, which go too. That of locks stays: one may be about to be made in it."""


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


class _Runs:
    """The runs of a workspace. What one of them uses is read when it is asked for: there may be many."""

    def __init__(self, workspace: Workspace, ledger: Ledger) -> None:
        self.workspace = workspace
        self.ledger = ledger
        names = {(row.experiment, row.run_id) for row in ledger.runs()} | set(ledger.result_runs())
        known = {run_id for _, run_id in names}
        # A crash right after the start leaves only the compiled experiment; that folder is a run too.
        files = (compiled_name, manifest_name)
        names |= {(path.parent.name, path.name) for path in workspace.told_runs(known, files=files)}
        self.names = frozenset(names)
        runs = str(workspace.runs)
        self.live = frozenset(name for name in names if is_held(f"{runs}/{name[0]}/{name[1]}/{lock_name}"))

    def folder(self, name: RunName) -> Path:
        return self.workspace.run_folder(*name)

    def uses(self, name: RunName) -> Uses:
        return uses(self.ledger, name[1], self.folder(name) / manifest_name)


def find_garbage(workspace: Workspace, ledger: Ledger, keep: int) -> Garbage:
    """Return what may be removed if the latest `keep` runs of every experiment stay. Removes nothing."""
    runs = _Runs(workspace, ledger)
    kept = _kept(runs, keep)
    gone = sorted(runs.names - kept.keys())
    live = tuple(name[1] for name in sorted(runs.live))
    counted: set[tuple[int, int]] = set()
    found = [
        *((RemovalKind.RUN, runs.folder(name), name) for name in gone),
        # A live run may reuse any object before its manifest says so.
        *((RemovalKind.OBJECT, path, None) for path in ([] if live else _objects(workspace, kept.values()))),
        *(
            (RemovalKind.STORAGE, path, None)
            for path in ([] if live else _storage(runs, gone, kept.values()))
        ),
        *((RemovalKind.JOB, path, None) for path in _jobs(workspace, ledger)),
        *((RemovalKind.PARTIAL, path, None) for path in _partials(runs, kept)),
        *((RemovalKind.LOCK, path, None) for path in _locks(workspace)),
    ]
    removals = tuple(Removal(kind, path, _bytes(path, counted), name) for kind, path, name in found)
    return Garbage(removals, len(kept), keep, live)


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
        runs = [each for each in still if each.kind is RemovalKind.RUN]
        others = (each for each in still if each.kind is not RemovalKind.RUN)
        gone = (*_runs_removed(runs, ledger), *(each for each in others if _removed(each)))
        for folder in {each.path.parent for each in gone if each.kind in pruned}:
            _prune(folder, workspace.runs)
        return gone


def _removed(removal: Removal) -> bool:
    match removal.kind:
        case RemovalKind.JOB:
            return _removed_under_lock(removal.path, removal.path / "lock")
        case RemovalKind.LOCK:
            return _removed_under_lock(removal.path, removal.path)
        case RemovalKind.PARTIAL:
            return _removed_under_lock(removal.path, removal.path.parent / lock_name)
        case _:
            _delete(removal.path)
            return True


def _runs_removed(removals: Sequence[Removal], ledger: Ledger) -> Iterator[Removal]:
    """Remove runs, many in one transaction, which is what takes time; yield those that were free."""
    for start in range(0, len(removals), runs_at_once):
        with ExitStack() as locks:
            # A run may have been resumed since it was listed. Its lock decides, not the list.
            free = [
                each
                for each in removals[start : start + runs_at_once]
                if not each.path.is_dir()
                or locks.enter_context(try_lock(each.path / lock_name, "gc")) is not None
            ]
            # Ledger before files: after a crash in between, the next gc finds the folders again. The other
            # order would leave results whose outputs do not exist.
            ledger.delete_runs(each.path.name for each in free)
            for each in free:
                _delete(each.path)
        yield from free


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


def _kept(runs: _Runs, keep: int) -> dict[RunName, Uses]:
    """Return each experiment's latest runs, those in progress, what may serve them, and all they use."""
    by_experiment: dict[str, list[RunName]] = {}
    for name in sorted(runs.names, reverse=True):
        by_experiment.setdefault(name[0], []).append(name)
    waiting = [name for names in by_experiment.values() for name in names[:keep]]
    waiting += [*runs.live, *_may_serve(runs)]
    kept: dict[RunName, Uses] = {}
    # Transitively: a cached output lies in the folder of the run that made it, which may itself be old.
    while waiting:
        name = waiting.pop()
        if name in runs.names and name not in kept:
            kept[name] = runs.uses(name)
            waiting += _linked(kept[name])
    return kept


def _linked(used: Uses) -> set[RunName]:
    """Return the runs whose folders hold a run's outputs."""
    places = (Path(path).parts for path in used.paths)
    return {(parts[1], parts[2]) for parts in places if len(parts) > 3 and parts[0] == "runs"}


def _may_serve(runs: _Runs) -> set[RunName]:
    """Return runs with a result that a run in progress may reuse for a later step."""
    steps = [step for name in runs.live for step in _steps(runs.folder(name) / compiled_name)]
    if not steps:
        return set()
    found = (result for result in runs.ledger.results() if any(_fits(result, step) for step in steps))
    return {(result.experiment, result.run_id) for result in found}


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


def _objects(workspace: Workspace, staying: Iterable[Uses]) -> list[Path]:
    """Return stored objects that no kept run names, and copies that were never finished."""
    needed = {digest for used in staying for digest in used.digests}
    folders = sorted(each.path for each in _entries(workspace.objects))
    # Paths only of what is left: there may be many objects.
    return [
        Path(folder, name)
        for folder in folders
        for name in sorted(each.name for each in _entries(folder))
        if f"{os.path.basename(folder)}{name}" not in needed
    ]


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """Return what is in a folder; nothing if it is none."""
    try:
        with os.scandir(folder) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _storage(runs: _Runs, gone: Iterable[RunName], staying: Iterable[Uses]) -> list[Path]:
    """Return storage in the workspace that belongs to removed runs and to no kept one."""
    needed = {uri for used in staying for uri in used.resources}
    unneeded = {uri for name in gone for uri in runs.uses(name).resources} - needed
    # Only files on this machine. Cloud resources cost money to make again, and are the user's to delete.
    local = [uri.removeprefix(file_scheme) for uri in sorted(unneeded) if uri.startswith(file_scheme)]
    paths = [Path(os.path.normpath(runs.workspace.root / path)) for path in local]
    return [path for path in paths if _is_storage(path, runs.workspace) and path.exists()]


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


def _partials(runs: _Runs, kept: Iterable[RunName]) -> list[Path]:
    """Return what unfinished attempts left behind. Runs in progress are skipped: theirs are in use."""
    endings = (".*.partial", ".*.tmp")
    quiet = [runs.folder(name) for name in sorted(kept) if name not in runs.live]
    return [path for folder in quiet for ending in endings for path in sorted(folder.glob(ending))]


def _locks(workspace: Workspace) -> list[Path]:
    """Return lock files that no process holds."""
    return [path for path in sorted(workspace.locks.glob("*")) if holder(path) is None]


def _bytes(place: str | os.PathLike[str], counted: set[tuple[int, int]]) -> int:
    """Return the size of the file, or of all files in the folder; each inode counts once."""
    try:
        found = os.lstat(place)
    except OSError:
        return 0
    if not stat.S_ISDIR(found.st_mode):
        return _own_bytes(found, counted)
    total = 0
    for entry in _entries(os.fspath(place)):
        if entry.is_dir(follow_symlinks=False):
            total += _bytes(entry.path, counted)
        else:
            total += _own_bytes(entry.stat(follow_symlinks=False), counted)
    return total


def _own_bytes(found: os.stat_result, counted: set[tuple[int, int]]) -> int:
    inode = (found.st_dev, found.st_ino)
    if inode in counted:
        return 0
    # A file with two names (hard links) frees its space once.
    counted.add(inode)
    return found.st_size
