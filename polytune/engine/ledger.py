"""The ledger: one SQLite file that stores every result, answer, job and file digest.

STRICT tables, one transaction per step transition and per batch of answers, durable at commit; a write-ahead
log, or a rollback journal on a network file system.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import msgspec

from polytune.engine.artifacts import Artifact, Facts, KeyRecord
from polytune.engine.migrations import migrate, migrations
from polytune.engine.mounts import network_kind
from polytune.engine.rekeying import former_answers
from polytune.engine.unwritten import open_unwritten
from polytune.errors import LedgerError

busy_seconds = 60.0
"""How long to wait for another process's transaction."""
look_again_seconds = 0.01
remembered_compilations = 500
"""The latest ones. Each value of `--set` makes one more."""
compared_results = 20
"""How many of the latest results a changed step is compared with, whatever the length of its history."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Totals of a step's paid requests."""

    requests: int = 0
    """Requests sent by this run."""
    reused: int = 0
    """Answers taken from the answer memory."""
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = 0.0
    """What this run paid; None when a price is unknown."""


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment has been billed so far."""

    usd: float = 0.0
    requests: int = 0
    tokens: int = 0


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A finished step: what it produced, under which key record, at what cost."""

    record: KeyRecord
    artifact: Artifact
    run_id: str
    experiment: str
    step: str
    finished_at: str
    seconds: float
    metrics: Facts = {}
    resources: dict[str, str] = {}
    """Remote resources that belong to this result: name to URI."""
    usage: Usage = Usage()
    accepted: bool = False
    """True if a user declared an older output valid for this key (`--accept`)."""


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """One run, as the ledger lists it."""

    run_id: str
    experiment: str
    status: str
    started_at: str
    folder: str
    """Relative to the workspace."""
    source: str
    """The experiment file, relative to the workspace if inside it."""


class Ledger:
    """An open ledger. Each method that writes is one transaction."""

    def __init__(
        self, connection: sqlite3.Connection, notices: tuple[str, ...] = (), refusal: str = ""
    ) -> None:
        self.connection = connection
        self.notices = notices
        """What the user should know about the opening, such as a migration."""
        self.refusal = refusal
        """Why nothing may be written to it; '' when it may."""
        self._writing = threading.RLock()

    @classmethod
    def open(cls, path: Path, refusal: str = "") -> Ledger:
        """Open the workspace's ledger; create or migrate it as needed.

        With a `refusal`, which says why its folder must not be written to, it is only read, and nothing in
        the folder changes. Raises LedgerError when the file is not a ledger, or a newer polytune wrote it.
        """
        if refusal:
            return cls._prepared(open_unwritten(path, len(migrations)), path, refusal)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            # SQLite would let only its maker write to it; its other files copy its permissions.
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o666))
        return cls._prepared(_connected(str(path)), path)

    @classmethod
    def empty(cls, refusal: str = "") -> Ledger:
        """Return an empty ledger in memory, for planning before the first run: reading creates no file."""
        return cls._prepared(_connected(":memory:"), None, refusal)

    @classmethod
    def _prepared(cls, connection: sqlite3.Connection, path: Path | None, refusal: str = "") -> Ledger:
        name = str(path or ":memory:")
        try:
            with _explained(name):
                modes = () if refusal or path is None else _durable(connection, path)
                migrated = migrate(connection, name)
        except BaseException:
            connection.close()
            raise
        return cls(connection, () if refusal else (*modes, *migrated), refusal)

    @cached_property
    def lasts(self) -> bool:
        """Whether what is recorded is still there at the next command."""
        file = self.connection.execute("PRAGMA database_list").fetchone()[2]
        return not self.refusal and bool(file)

    @cached_property
    def holds_former_answers(self) -> bool:
        """Whether answers are stored under the identities of the first key format too."""
        found = self.connection.execute("SELECT 1 FROM notes WHERE name = ?", (former_answers,)).fetchone()
        return found is not None

    def note_former_answers(self) -> None:
        """From now on, answers are looked up under the identities of the first key format too."""
        with self.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO notes (name, value) VALUES (?, '')", (former_answers,))

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit all statements of the block durably, or none of them. Threads take turns.

        Raises LedgerError when the ledger must not be written to.
        """
        if self.refusal:
            raise LedgerError(self.refusal)
        with self._writing:
            # IMMEDIATE takes the write lock at once. A deferred transaction can fail in the middle with
            # SQLITE_BUSY, which the busy timeout does not retry.
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
            except BaseException:
                self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")

    def state(self) -> tuple[int, int]:
        """Return what differs once anything has been written, by this process or by another one."""
        (others,) = self.connection.execute("PRAGMA data_version").fetchone()
        return self.connection.total_changes, others

    # results

    def result(self, key: str) -> Result | None:
        """Return the latest finished result under a cache key."""
        row = self.connection.execute("SELECT body FROM results WHERE key = ?", (key,)).fetchone()
        return msgspec.json.decode(row[0], type=Result) if row else None

    def record_result(self, result: Result) -> None:
        """Store the result under its key."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO results"
                " (key, open_key, inputs, kind, experiment, step, run_id, finished_at, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    result.record.key,
                    result.record.open_key,
                    msgspec.json.encode(result.record.inputs).decode(),
                    result.record.kind,
                    result.experiment,
                    result.step,
                    result.run_id,
                    result.finished_at,
                    msgspec.json.encode(result),
                ),
            )

    def could_serve(self, partial: KeyRecord) -> bool:
        """Whether a result agrees with all that is known of a step; some inputs may be still to come."""
        known = "".join(f" AND json_extract(inputs, '$.\"{port}\"') = ?" for port in partial.inputs)
        row = self.connection.execute(
            f"SELECT 1 FROM results WHERE open_key = ?{known} LIMIT 1",
            (partial.open_key, *partial.inputs.values()),
        ).fetchone()
        return row is not None

    def candidates(self, kind: str, experiment: str, step: str, *, own: bool) -> list[Result]:
        """Return the latest results to compare a step with, latest first, at most `compared_results`.

        Those of this step in this experiment. If there are none: of this kind in this experiment (not if
        `own`), of steps with this id in any experiment, of this kind at all (not if `own`).
        """
        groups: list[tuple[str, tuple[str, ...]]] = [
            ("kind = ? AND experiment = ? AND step = ?", (kind, experiment, step)),
            ("kind = ? AND step = ?", (kind, step)),
        ]
        if not own:
            same_experiment = ("kind = ? AND experiment = ?", (kind, experiment))
            groups = [groups[0], same_experiment, groups[1], ("kind = ?", (kind,))]
        for where, values in groups:
            rows = self.connection.execute(
                f"SELECT body FROM results WHERE {where} ORDER BY finished_at DESC, rowid DESC LIMIT ?",
                (*values, compared_results),
            ).fetchall()
            if rows:
                return [msgspec.json.decode(body, type=Result) for (body,) in rows]
        return []

    def results(self) -> Iterator[Result]:
        """Yield every finished result, oldest first."""
        for (body,) in self.connection.execute("SELECT body FROM results ORDER BY finished_at, rowid"):
            yield msgspec.json.decode(body, type=Result)

    def result_bodies(self, run_id: str) -> Iterator[bytes]:
        """Yield the encoded results that one run made."""
        yield from (
            body
            for (body,) in self.connection.execute("SELECT body FROM results WHERE run_id = ?", (run_id,))
        )

    def result_runs(self) -> Iterator[tuple[str, str]]:
        """Yield experiment and id of every run that made a result, each once."""
        yield from self.connection.execute("SELECT DISTINCT experiment, run_id FROM results")

    def spent(self, experiment: str, since: str = "") -> Spent:
        """Return what the answers of one experiment have cost: over all its runs, or `since` a UTC time."""
        if since:
            row = self.connection.execute(
                "SELECT coalesce(sum(price_usd), 0.0), count(*), coalesce(sum(tokens), 0) FROM answers"
                " WHERE stored_at >= ? AND experiment = ?",
                (since, experiment),
            ).fetchone()
        else:
            totals = "SELECT usd, requests, tokens FROM spent WHERE experiment = ?"
            row = self.connection.execute(totals, (experiment,)).fetchone()
        return Spent(usd=row[0], requests=row[1], tokens=row[2]) if row else Spent()

    def spent_usd(self, experiment: str) -> float:
        """Return the dollars of `spent`; answers without a known price count as 0."""
        return self.spent(experiment).usd

    def check(self) -> None:
        """Look for damage, quickly: at every page, not at every index entry. Raises LedgerError."""
        (word,) = self.connection.execute("PRAGMA quick_check(1)").fetchone()
        if word != "ok":
            raise LedgerError(f"the ledger is damaged ({word}). Run `polytune ledger rebuild --force`")

    # runs

    def record_run(self, run: RunRow) -> None:
        """Store the run with its latest status."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO runs (run_id, experiment, status, started_at, folder, source)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                msgspec.structs.astuple(run),
            )

    def runs(self, experiment: str | None = None) -> list[RunRow]:
        """Return runs, latest first; of one experiment or of all."""
        where, values = ("WHERE experiment = ?", (experiment,)) if experiment else ("", ())
        rows = self.connection.execute(
            "SELECT run_id, experiment, status, started_at, folder, source FROM runs"
            f" {where} ORDER BY run_id DESC",
            values,
        )
        return [RunRow(**dict(zip(RunRow.__struct_fields__, row, strict=True))) for row in rows]

    # what was compiled

    def compilation(self, identity: str) -> bytes | None:
        """Return the stored compilation of an experiment file, as bytes."""
        row = self.connection.execute("SELECT body FROM compilations WHERE id = ?", (identity,)).fetchone()
        return row[0] if row else None

    def record_compilation(self, identity: str, body: bytes) -> None:
        """Store the compilation under its identity, unless the ledger is only read."""
        if self.refusal:
            return
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO compilations (id, body) VALUES (?, ?)", (identity, body)
            )
            connection.execute(
                "DELETE FROM compilations WHERE rowid <= (SELECT max(rowid) FROM compilations) - ?",
                (remembered_compilations,),
            )

    def delete_runs(self, run_ids: Iterable[str]) -> None:
        """Delete the runs and the results that they made."""
        with self.transaction() as connection:
            for run_id in run_ids:
                connection.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))
                connection.execute("DELETE FROM results WHERE run_id = ?", (run_id,))


def _connected(name: str) -> sqlite3.Connection:
    try:
        # isolation_level=None: transactions begin and end in `transaction` only. Answers are committed
        # from a thread, which the lock in `transaction` makes safe.
        return sqlite3.connect(name, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    except sqlite3.OperationalError as error:
        raise LedgerError(f"{name}: cannot be opened ({error})") from error


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Raises LedgerError for what SQLite says about the file."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise LedgerError(f"{name}: cannot be used ({error})") from error
    except sqlite3.DatabaseError as error:
        remedy = "move the file away and run `polytune ledger rebuild`"
        raise LedgerError(f"{name}: not a readable ledger ({error}); {remedy}") from error


def _durable(connection: sqlite3.Connection, path: Path) -> tuple[str, ...]:
    """Make every commit survive a power failure; return what the user should know about it."""
    network = network_kind(path)
    changed = _use_journal(connection, "delete" if network else "wal")
    # The usual NORMAL may lose the last commits in a power failure. Those are paid answers and the tokens of
    # jobs, so every commit is synced.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    if not network or not changed:
        return ()
    return (
        f"{path} is on a network file system ({network}): the ledger keeps a rollback journal instead of a"
        " write-ahead log, which would not be safe there. Its locks are only as good as that file system's",
    )


def _use_journal(connection: sqlite3.Connection, mode: str) -> bool:
    """Switch the file to a journal mode; return whether it had another one.

    Waits for a process that is doing the same: SQLite's busy timeout does not.
    """
    end = time.monotonic() + busy_seconds
    while True:
        try:
            (before,) = connection.execute("PRAGMA journal_mode").fetchone()
            if before != mode:
                connection.execute(f"PRAGMA journal_mode = {mode}")
            return bool(before != mode)
        except sqlite3.OperationalError as error:
            # The primary error code is the low byte; extended codes use the higher ones.
            in_use = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not in_use or time.monotonic() > end:
                raise
            time.sleep(look_again_seconds)


def utc_now() -> str:
    """Return the current time as records store it: UTC, milliseconds, zone Z."""
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
