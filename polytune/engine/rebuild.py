"""Checks the ledger against the disk by hashing everything again, or rebuilds it from the runs' folders.

results, runs    from the manifests; a result counts if its outputs are in place or in the store
answers          from the artifacts that hold them, through the step kind's `remembered`
answers, jobs    that only the old file has: from as much of it as is still readable
file digests, compilations        recomputed when they are needed
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec

from polytune.engine.answers import AnswerMemory
from polytune.engine.artifacts import FileEntry, KeyRecord
from polytune.engine.filememory import FileMemory
from polytune.engine.ledger import Ledger, Result, utc_now
from polytune.engine.locks import holder, try_lock
from polytune.engine.manifest import Manifest, StepReport, StepStatus, read_manifest, row_of
from polytune.engine.migrations import migrations
from polytune.engine.step import STEPS
from polytune.engine.store import Condition, Store
from polytune.engine.workspace import Workspace, compiled_name, lock_name, manifest_name
from polytune.errors import Busy, LedgerError, PolytuneError, UsageError
from polytune.files import digest_of, sync_folder

# Bounds the memory in use; one commit per thousand answers.
answers_at_once = 1000
companions = ("", "-wal", "-shm")
"""Suffixes of the files that SQLite keeps for a database."""

salvaged = ("answers", "jobs")
"""Tables with content that no run's folder holds, or not all of it."""


@dataclass(frozen=True)
class Defect:
    """One disagreement between the ledger and the disk."""

    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


@dataclass(frozen=True)
class Verification:
    """What was checked, and what was found."""

    results: int
    files: int
    bytes: int
    findings: tuple[Defect, ...]


@dataclass(frozen=True)
class Rebuilt:
    """What the new ledger contains."""

    runs: int
    results: int
    answers: int
    left_out: tuple[str, ...]
    """What could not be recovered, and why."""
    old: Path | None
    """Where the old ledger is kept, if there was one."""


# verify


def verify(ledger: Ledger, workspace: Workspace, seen: Callable[[int], None]) -> Verification:
    """Read and hash every result's outputs and objects; `seen` is called with the size of each in bytes."""
    findings = [*_integrity(ledger)]
    results = list(_decoded(ledger, findings))
    entries = [entry for result in results for entry in result.artifact.files.values()]
    stored = {entry.digest: _object_finding(entry, workspace) for entry in _each(entries, "digest", seen)}
    findings += [finding for finding in stored.values() if finding]
    findings += [finding for result in results for finding in _input_findings(result.record, workspace)]
    known: dict[str, set[str]] = {}
    for entry in entries:
        known.setdefault(entry.path, set()).add(entry.digest)
    for entry in _each(entries, "path", seen):
        sound = any(stored[digest] is None for digest in known[entry.path])
        finding = _output_finding(workspace, entry.path, known[entry.path], restorable=sound)
        findings += [finding] if finding else []
    return Verification(len(results), len(known), sum(e.bytes for e in entries), tuple(findings))


def bytes_to_verify(ledger: Ledger) -> int:
    """Return how many bytes `verify` will read."""
    entries = [entry for result in _decoded(ledger, []) for entry in result.artifact.files.values()]
    paths, digests = ({getattr(e, name): e.bytes for e in entries} for name in ("path", "digest"))
    return sum(paths.values()) + sum(digests.values())


def _each(entries: Iterable[FileEntry], name: str, seen: Callable[[int], None]) -> Iterator[FileEntry]:
    """Yield one entry per path or digest; `seen` is called after each."""
    for entry in {getattr(entry, name): entry for entry in entries}.values():
        yield entry
        seen(entry.bytes)


def _integrity(ledger: Ledger) -> Iterator[Defect]:
    for (word,) in ledger.connection.execute("PRAGMA integrity_check"):
        if word != "ok":
            yield Defect("ledger", f"{word}. Run `polytune ledger rebuild --force`")


def _decoded(ledger: Ledger, findings: list[Defect]) -> Iterator[Result]:
    """Yield the results that can be read; report those that cannot, or do not match their key."""
    for key, body in ledger.connection.execute("SELECT key, body FROM results ORDER BY finished_at, rowid"):
        try:
            result = msgspec.json.decode(body, type=Result)
        except msgspec.DecodeError as error:
            findings.append(Defect(f"result {key[:16]}", f"unreadable ({error})"))
            continue
        if result.record.key != key:
            findings.append(
                Defect(f"result {key[:16]}", "its record does not match its key; the row was changed")
            )
        yield result


def _object_finding(entry: FileEntry, workspace: Workspace) -> Defect | None:
    path = workspace.objects / entry.digest[:2] / entry.digest[2:]
    place = workspace.relative(path)
    try:
        digest = digest_of(path)
    except OSError:
        return Defect(place, f"missing; it holds {entry.path}")
    return None if digest == entry.digest else Defect(place, f"corrupted; it should hold {entry.path}")


def _input_findings(record: KeyRecord, workspace: Workspace) -> Iterator[Defect]:
    """Yield corrupted copies of files that a spec names. Large files have no copy."""
    for name, digest in record.files.items():
        path = workspace.objects / digest[:2] / digest[2:]
        if path.exists() and digest_of(path) != digest:
            yield Defect(workspace.relative(path), f"corrupted; it should hold {record.kind}'s {name}")


def _output_finding(workspace: Workspace, path: str, known: set[str], *, restorable: bool) -> Defect | None:
    """Check an output in place. It is right if it matches any result that was ever written there."""
    try:
        digest = digest_of(workspace.root / path)
    except OSError:
        digest = ""
    if digest in known:
        return None
    remedy = "the next run that needs it restores it" if restorable else "lost; its step must run again"
    return Defect(path, f"{'tampered with' if digest else 'missing'}; {remedy}")


# rebuild


def rebuild(workspace: Workspace, *, force: bool) -> Rebuilt:
    """Put a fresh ledger in place and keep the old file, if there was one, next to it.

    Raises UsageError when the old one is readable and `force` is not given, LedgerError when a newer
    polytune wrote it, and Busy while a run is in progress.
    """
    _refuse_live(workspace)
    readable = _readable(workspace.ledger)
    if readable and not force:
        raise UsageError(
            f"{workspace.ledger}: the ledger is readable. Check it with `polytune ledger verify`, or pass"
            " --force to rebuild it anyway; the old file is kept"
        )
    with try_lock(workspace.locks / "rebuild", "ledger rebuild") as lock:
        if lock is None:
            raise Busy(f"the ledger is being rebuilt by {holder(workspace.locks / 'rebuild')}")
        if readable:
            # Opening migrates an older schema, so that salvaging finds the columns of this version.
            Ledger.open(workspace.ledger).close()
        return _rebuilt(workspace)


def _rebuilt(workspace: Workspace) -> Rebuilt:
    fresh = workspace.ledger.with_name(f"{workspace.ledger.name}.rebuilding")
    # An earlier rebuild may have crashed. A -wal file of it next to a new database would corrupt it.
    for suffix in companions:
        Path(f"{fresh}{suffix}").unlink(missing_ok=True)
    left_out: list[str] = []
    with closing(Ledger.open(fresh)) as ledger:
        _salvage(workspace.ledger, ledger, left_out)
        runs, results = _from_manifests(workspace, ledger, left_out)
        (answers,) = ledger.connection.execute("SELECT count(*) FROM answers").fetchone()
    # The old file is moved only once the new one is complete; a crash before that changes nothing.
    old = _set_aside(workspace.ledger)
    fresh.rename(workspace.ledger)
    sync_folder(workspace.runs)
    return Rebuilt(runs, results, answers, tuple(left_out), old)


def _refuse_live(workspace: Workspace) -> None:
    for folder in _run_folders(workspace):
        if found := holder(folder / lock_name):
            raise Busy(f"{folder.name} is in use by {found}; rebuild after it ends")


def _run_folders(workspace: Workspace) -> Iterator[Path]:
    """Yield the folder of every run that has begun: a crash right after the start leaves no manifest."""
    return workspace.told_runs((), files=(compiled_name, manifest_name))


def _readable(path: Path) -> bool:
    """Whether the file is an intact ledger. Raises LedgerError when a newer polytune wrote it."""
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (word,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError:
        return False
    if version > len(migrations):
        raise LedgerError(f"{path}: written by a newer polytune (schema {version}); upgrade polytune")
    return bool(version > 0 and word == "ok")


def _salvage(old: Path, ledger: Ledger, left_out: list[str]) -> None:
    """Copy the answers and jobs that can still be read from the old file, up to the first damage."""
    if not old.exists():
        return
    # Answers were paid for and open jobs are running: neither can be found anywhere else.
    for table in salvaged:
        columns = [name for _, name, *_ in ledger.connection.execute(f"PRAGMA table_info({table})")]
        places = ", ".join("?" for _ in columns)
        insert = f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({places})"
        with closing(sqlite3.connect(old)) as connection, ledger.transaction() as target:
            try:
                # Row by row, so that everything before the damage is kept.
                for row in connection.execute(f"SELECT {', '.join(columns)} FROM {table}"):
                    target.execute(insert, row)
            except sqlite3.DatabaseError as error:
                left_out.append(f"{table} of the old ledger, in part or all: {error}")


def _from_manifests(workspace: Workspace, ledger: Ledger, left_out: list[str]) -> tuple[int, int]:
    """Recover runs and results; return how many of each."""
    manifests = []
    for folder in _run_folders(workspace):
        try:
            manifest = read_manifest(folder / manifest_name)
        except UsageError as error:
            left_out.append(str(error))
            continue
        ledger.record_run(row_of(manifest, folder, workspace))
        manifests.append(manifest)
    found = {result.record.key: result for result in _results(manifests, left_out)}
    store = Store(workspace, FileMemory(ledger))
    kept = [result for result in found.values() if _kept(result, store, left_out)]
    for result in sorted(kept, key=lambda each: each.finished_at):
        ledger.record_result(result)
        _recall(result, store, ledger, left_out)
    # Samples of older runs name their requests by the identities of the first key format.
    ledger.note_former_answers()
    return len(manifests), len(kept)


def _results(manifests: Iterable[Manifest], left_out: list[str]) -> list[Result]:
    """Return what every finished step made, oldest first; the run that made it after those that reused it.

    The caller keeps the last result of each key, so the maker's report, with its cost and time, wins.
    """
    found = []
    for manifest in manifests:
        for step, report in manifest.steps.items():
            if not report.status.complete or report.record is None or report.output is None:
                continue
            if (report.key, report.output_digest) != (report.record.key, report.output.digest):
                left_out.append(
                    f"{manifest.run_id} {step}: the manifest was changed: its digests do not agree"
                )
                continue
            result = _result(manifest, step, report)
            found.append((report.status is StepStatus.DONE, result.finished_at, result))
    return [result for *_, result in sorted(found, key=lambda each: each[:2])]


def _result(manifest: Manifest, step: str, report: StepReport) -> Result:
    assert report.record is not None
    assert report.output is not None
    experiment, _, run_id = report.from_run.partition("/")
    return Result(
        record=report.record,
        artifact=report.output,
        run_id=run_id or manifest.run_id,
        experiment=experiment or manifest.experiment,
        step=step,
        finished_at=report.finished_at,
        seconds=report.seconds,
        metrics=report.metrics,
        resources=report.resources,
        usage=report.usage,
        accepted=report.accepted,
    )


def _kept(result: Result, store: Store, left_out: list[str]) -> bool:
    if store.condition(result.artifact) is not Condition.LOST:
        return True
    left_out.append(f"{result.run_id} {result.step}: its output is neither in place nor in the store")
    return False


def _recall(result: Result, store: Store, ledger: Ledger, left_out: list[str]) -> None:
    """Store the answers that the result's artifact holds in the answer memory."""
    files = {name: _sound(entry, store) for name, entry in result.artifact.files.items()}
    memory = AnswerMemory(ledger, result.experiment)
    try:
        answers = iter(STEPS.load(result.record.kind).remembered(files))
        while batch := list(islice(answers, answers_at_once)):
            memory.store_now(batch)
    except (PolytuneError, msgspec.DecodeError) as error:
        left_out.append(f"{result.run_id} {result.step}: its answers: {error}")


def _sound(entry: FileEntry, store: Store) -> Path:
    place = store.path_of(entry)
    return place if store.memory.digest(place) == entry.digest else store.object_path(entry.digest)


def _set_aside(path: Path) -> Path | None:
    """Rename the old ledger and the files that SQLite keeps for it; return its new path."""
    stamp = utc_now().replace(":", "").replace("-", "")
    target = path.with_name(f"{path.name}.{stamp}.old")
    # The -wal file first: if only the database were moved, SQLite would apply the old -wal to the new one.
    for suffix in companions[1:]:
        if Path(f"{path}{suffix}").exists():
            Path(f"{path}{suffix}").rename(f"{target}{suffix}")
    if not path.exists():
        return None
    path.rename(target)
    return target
