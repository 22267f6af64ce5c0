"""The schema of the ledger, as numbered migrations; each runs once, in a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from polytune.engine.rekeying import rekey
from polytune.errors import LedgerError


def results_runs_and_memory(connection: sqlite3.Connection) -> None:
    """1: results by key, runs, answers, jobs, file digests, compilations."""
    for statement in (
        "CREATE TABLE results (key TEXT PRIMARY KEY NOT NULL, kind TEXT NOT NULL, experiment TEXT NOT NULL,"
        " step TEXT NOT NULL, run_id TEXT NOT NULL, finished_at TEXT NOT NULL, body BLOB NOT NULL) STRICT",
        "CREATE INDEX results_by_kind ON results (kind, finished_at)",
        "CREATE INDEX results_by_run ON results (run_id)",
        "CREATE TABLE runs (run_id TEXT PRIMARY KEY NOT NULL, experiment TEXT NOT NULL, status TEXT NOT NULL,"
        " started_at TEXT NOT NULL, folder TEXT NOT NULL, source TEXT NOT NULL) STRICT",
        "CREATE INDEX runs_by_experiment ON runs (experiment, run_id)",
        "CREATE TABLE answers (request TEXT NOT NULL, draw INTEGER NOT NULL, experiment TEXT NOT NULL,"
        " body BLOB NOT NULL, tokens INTEGER NOT NULL, price_usd REAL, stored_at TEXT NOT NULL,"
        " PRIMARY KEY (request, draw)) STRICT, WITHOUT ROWID",
        "CREATE INDEX answers_by_experiment ON answers (experiment)",
        "CREATE TABLE jobs (token TEXT PRIMARY KEY NOT NULL, key TEXT NOT NULL, attempt INTEGER NOT NULL,"
        " state TEXT NOT NULL, body BLOB NOT NULL) STRICT",
        "CREATE INDEX jobs_by_key ON jobs (key, attempt)",
        "CREATE TABLE files (device INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL,"
        " mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, digest TEXT NOT NULL,"
        " PRIMARY KEY (device, inode)) STRICT, WITHOUT ROWID",
        "CREATE TABLE compilations (id TEXT PRIMARY KEY NOT NULL, body BLOB NOT NULL) STRICT",
    ):
        connection.execute(statement)


def keys_without_defaults(connection: sqlite3.Connection) -> str:
    """2: keys hold no defaults; columns by which a plan finds results without reading all of them."""
    for statement in (
        "ALTER TABLE results RENAME TO former_results",
        "DROP INDEX results_by_kind",
        "DROP INDEX results_by_run",
        "CREATE TABLE results (key TEXT PRIMARY KEY NOT NULL, open_key TEXT NOT NULL, inputs TEXT NOT NULL,"
        " kind TEXT NOT NULL, experiment TEXT NOT NULL, step TEXT NOT NULL, run_id TEXT NOT NULL,"
        " finished_at TEXT NOT NULL, body BLOB NOT NULL) STRICT",
        "CREATE INDEX results_by_kind ON results (kind, finished_at)",
        "CREATE INDEX results_by_step ON results (kind, step, finished_at)",
        "CREATE INDEX results_by_experiment ON results (kind, experiment, step, finished_at)",
        "CREATE INDEX results_by_open_key ON results (open_key)",
        "CREATE INDEX results_by_run ON results (run_id)",
        "CREATE TABLE notes (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) STRICT",
    ):
        connection.execute(statement)
    return rekey(connection)


def totals_of_answers(connection: sqlite3.Connection) -> None:
    """3: what each experiment's answers cost, kept up to date with every answer; answers by their time."""
    totals = "INSERT INTO spent (experiment, usd, requests, tokens)"
    added = (
        " ON CONFLICT (experiment) DO UPDATE SET"
        " usd = usd + excluded.usd, requests = requests + excluded.requests,"
        " tokens = tokens + excluded.tokens;"
    )
    new = f"{totals} VALUES (new.experiment, coalesce(new.price_usd, 0.0), 1, new.tokens){added}"
    old = f"{totals} VALUES (old.experiment, -coalesce(old.price_usd, 0.0), -1, -old.tokens){added}"
    for statement in (
        "CREATE TABLE spent (experiment TEXT PRIMARY KEY NOT NULL, usd REAL NOT NULL,"
        " requests INTEGER NOT NULL, tokens INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        f"{totals} SELECT experiment, coalesce(sum(price_usd), 0.0), count(*), coalesce(sum(tokens), 0)"
        " FROM answers GROUP BY experiment",
        # In the database, so that no writer, and no repair by hand, can leave the totals behind.
        f"CREATE TRIGGER answer_added AFTER INSERT ON answers BEGIN {new} END",
        f"CREATE TRIGGER answer_removed AFTER DELETE ON answers BEGIN {old} END",
        f"CREATE TRIGGER answer_changed AFTER UPDATE ON answers BEGIN {old} {new} END",
        "DROP INDEX answers_by_experiment",
        "CREATE INDEX answers_by_time ON answers (stored_at)",
    ):
        connection.execute(statement)


migrations: tuple[Callable[[sqlite3.Connection], str | None], ...] = (
    results_runs_and_memory,
    keys_without_defaults,
    totals_of_answers,
)


def migrate(connection: sqlite3.Connection, name: str) -> tuple[str, ...]:
    """Bring the schema up to date; return what the user should know about it.

    Raises LedgerError when a newer polytune wrote the file.
    """
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > len(migrations):
        raise LedgerError(
            f"{name}: written by a newer polytune (schema {found}, this one knows {len(migrations)});"
            " upgrade polytune"
        )
    if found == len(migrations):
        return ()
    notices = []
    connection.execute("BEGIN IMMEDIATE")
    # Read again under the write lock: another process may have migrated the file meanwhile.
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    for number, step in enumerate(migrations[found:], start=found + 1):
        notices.append(step(connection))
        connection.execute(f"PRAGMA user_version = {number}")
    connection.execute("COMMIT")
    return tuple(notice for notice in notices if notice)
