"""Moves the results and jobs of a ledger to today's keys, once, when the ledger is opened.

A result holds its whole key record, so its new key follows from it. A job that has not ended has no result;
its record is in the manifest of its run. Answers stay where they are: they are looked up under their former
identity too (`Ask.formerly`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

import msgspec

from polytune.engine.artifacts import Facts, KeyRecord
from polytune.engine.former import current

former_answers = "former answers"
"""The note in a ledger that holds answers under the identity of the first format."""


class FormerResult(msgspec.Struct):
    """The part of a result that changes."""

    record: KeyRecord


class FormerReport(msgspec.Struct):
    """The part of a step's report in a manifest that says under which key it worked."""

    key: str = ""
    record: KeyRecord | None = None


class FormerManifest(msgspec.Struct):
    """The part of a manifest that leads from a job to its key record."""

    steps: dict[str, FormerReport] = {}


def rekey(connection: sqlite3.Connection) -> str:
    """Move what `former_results` and `jobs` hold to today's keys; return a line about it, '' for nothing."""
    keys = _results(connection)
    connection.execute("DROP TABLE former_results")
    jobs = _jobs(connection, keys)
    if connection.execute("SELECT 1 FROM answers LIMIT 1").fetchone():
        connection.execute("INSERT INTO notes (name, value) VALUES (?, '')", (former_answers,))
    if not keys and not jobs:
        return ""
    held = " and ".join(
        f"{count:,} {noun}{'' if count == 1 else 's'}"
        for count, noun in ((len(keys), "result"), (jobs, "job"))
        if count
    )
    return f"ledger: {held} moved to new cache keys, which hold no defaults; nothing is run or bought again"


def _results(connection: sqlite3.Connection) -> dict[str, str]:
    """Copy every result under its new key; return the new keys by the former ones."""
    keys = {}
    rows = connection.execute("SELECT rowid, key, body FROM former_results ORDER BY rowid").fetchall()
    for rowid, former, body in rows:
        record = current(msgspec.json.decode(body, type=FormerResult).record)
        whole: Facts = msgspec.json.decode(body)
        # Of two keys that differed only in a stated default, the later result stays.
        connection.execute(
            "INSERT OR REPLACE INTO results"
            " (key, open_key, inputs, kind, experiment, step, run_id, finished_at, body)"
            " SELECT ?, ?, ?, kind, experiment, step, run_id, finished_at, ? FROM former_results"
            " WHERE rowid = ?",
            (
                record.key,
                record.open_key,
                msgspec.json.encode(record.inputs).decode(),
                msgspec.json.encode({**whole, "record": record}),
                rowid,
            ),
        )
        keys[former] = record.key
    return keys


def _jobs(connection: sqlite3.Connection, keys: Mapping[str, str]) -> int:
    """Move every job of a step to the step's new key; return how many. Batch jobs have keys of their own."""
    moved = 0
    for token, former, body in connection.execute("SELECT token, key, body FROM jobs").fetchall():
        job: Facts = msgspec.json.decode(body)
        key = keys.get(former) or _recorded(_runs_folder(connection), str(job.get("step", "")), former)
        if key:
            # The token stays: it is what the platform knows the job by.
            changed = msgspec.json.encode({**job, "key": key})
            connection.execute("UPDATE jobs SET key = ?, body = ? WHERE token = ?", (key, changed, token))
            moved += 1
    return moved


def _recorded(runs: Path | None, step: str, former: str) -> str:
    """Return the new key of a step that has not ended, from the manifest of the run; '' if it is not there.

    `step` is what a job's row says: `experiment/run step`.
    """
    run, _, name = step.partition(" ")
    if runs is None or not name:
        return ""
    try:
        manifest = msgspec.json.decode((runs / run / "manifest.json").read_bytes(), type=FormerManifest)
    except (OSError, msgspec.DecodeError):
        return ""
    report = manifest.steps.get(name, FormerReport())
    return current(report.record).key if report.record is not None and report.key == former else ""


def _runs_folder(connection: sqlite3.Connection) -> Path | None:
    """Return the folder of the ledger's file; None for a ledger in memory."""
    file = connection.execute("PRAGMA database_list").fetchone()[2]
    return Path(file).parent if file else None
