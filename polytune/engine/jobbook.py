"""The job records of the ledger: what was intended, what was submitted, and how it ended."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from polytune.engine.artifacts import Facts
from polytune.engine.ledger import Ledger, utc_now


class JobState(StrEnum):
    """The state of a job."""

    INTENDED = "intended"
    SUBMITTED = "submitted"
    COMPLETED = "completed"
    FAILED = "failed"
    LOST = "lost"
    """It ended without a result, for example because the machine stopped."""

    @property
    def final(self) -> bool:
        """Whether the state can no longer change."""
        return self in (JobState.COMPLETED, JobState.FAILED, JobState.LOST)


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """One job as recorded in the ledger."""

    token: str
    key: str
    attempt: int
    state: JobState
    step: str
    """`experiment/run step`, for messages."""
    request: Facts
    """What was requested, in the driver's terms."""
    handle: str = ""
    """How the driver finds the job again: a process group, an ARN."""
    message: str = ""
    changed_at: str = ""


class JobBook:
    """Reads and writes the ledger's job records."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def latest(self, key: str) -> JobRow | None:
        """Return the last attempt under a step's key."""
        row = self.ledger.connection.execute(
            "SELECT body FROM jobs WHERE key = ? ORDER BY attempt DESC LIMIT 1", (key,)
        ).fetchone()
        return msgspec.json.decode(row[0], type=JobRow) if row else None

    def all_jobs(self) -> list[JobRow]:
        """Return every job, latest first."""
        rows = self.ledger.connection.execute("SELECT body FROM jobs ORDER BY rowid DESC")
        return [msgspec.json.decode(body, type=JobRow) for (body,) in rows]

    def of_token(self, token: str) -> JobRow | None:
        """Return the job with that token."""
        row = self.ledger.connection.execute("SELECT body FROM jobs WHERE token = ?", (token,)).fetchone()
        return msgspec.json.decode(row[0], type=JobRow) if row else None

    def open_jobs(self) -> list[JobRow]:
        """Return every job that has not been seen to end."""
        rows = self.ledger.connection.execute(
            "SELECT body FROM jobs WHERE state IN ('intended', 'submitted') ORDER BY token"
        )
        return [msgspec.json.decode(body, type=JobRow) for (body,) in rows]

    def record(self, job: JobRow) -> JobRow:
        """Store the job's state durably."""
        stamped = msgspec.structs.replace(job, changed_at=utc_now())
        with self.ledger.transaction() as connection:
            connection.execute(
                # Replaced, not appended: the token is the primary key, and only the
                # last known state matters.
                "INSERT OR REPLACE INTO jobs (token, key, attempt, state, body) VALUES (?, ?, ?, ?, ?)",
                (job.token, job.key, job.attempt, str(job.state), msgspec.json.encode(stamped)),
            )
        return stamped
