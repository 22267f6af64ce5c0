"""The schema of the ledger, as numbered migrations; each runs once, in a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

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


migrations: tuple[Callable[[sqlite3.Connection], None], ...] = (results_runs_and_memory,)


def migrate(connection: sqlite3.Connection, name: str) -> None:
    """Bring the schema up to date. Raises LedgerError when a newer polytune wrote the file."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > len(migrations):
        raise LedgerError(
            f"{name}: written by a newer polytune (schema {found}, this one knows {len(migrations)});"
            " upgrade polytune"
        )
    if found == len(migrations):
        return
    connection.execute("BEGIN IMMEDIATE")
    # Read again under the write lock: another process may have migrated the file meanwhile.
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    for number, step in enumerate(migrations[found:], start=found + 1):
        step(connection)
        connection.execute(f"PRAGMA user_version = {number}")
    connection.execute("COMMIT")
