"""The ledger: real SQLite files, several processes at once, and files that are no ledgers."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from polytune.engine.answers import AnswerMemory, Ask, StoredAnswer
from polytune.engine.artifacts import Artifact, KeyRecord
from polytune.engine.ledger import Ledger, Result, RunRow, Spent, compared_results, utc_now
from polytune.engine.migrations import migrations
from polytune.engine.workspace import Workspace
from polytune.errors import LedgerError
from tests.messages import matching

record = KeyRecord(kind="source", version=1, spec={"n": 1}, inputs={}, files={}, facts={})
result = Result(
    record=record,
    artifact=Artifact(type="Text", files={}, facts={"n": 1}),
    run_id="20260101T000000000-aaaa",
    experiment="x",
    step="a",
    finished_at="2026-01-01T00:00:00.000Z",
    seconds=1.5,
    metrics={"loss": 0.25},
    resources={"model": "file:runs/m"},
)

writer = """
import sys
from pathlib import Path
from polytune.engine.ledger import compared_results, Ledger
ledger = Ledger.open(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    ledger.record_compilation(f"{sys.argv[2]}-{number}", b"x")
"""


def numbered(count: int) -> list[Result]:
    """Results of one kind, each under its own key."""
    return [
        msgspec.structs.replace(
            result,
            record=msgspec.structs.replace(record, spec={"n": n}),
            finished_at=f"2026-01-01T00:00:{n:02}.000Z",
        )
        for n in range(count)
    ]


def run_row(run_id: str, experiment: str, status: str = "done") -> RunRow:
    """A listed run."""
    return RunRow(
        run_id=run_id,
        experiment=experiment,
        status=status,
        started_at=utc_now(),
        folder=f"runs/{experiment}/{run_id}",
        source=f"/somewhere/{experiment}.yaml",
    )


def test_a_result_is_found_whole_under_its_key(ledger: Ledger) -> None:
    """What was recorded comes back equal, and under no other key."""
    ledger.record_result(result)

    assert ledger.result(record.key) == result
    assert ledger.result("0" * 64) is None


def test_the_latest_result_under_a_key_counts(ledger: Ledger) -> None:
    """Recording the same key again replaces what was there."""
    ledger.record_result(result)
    again = msgspec.structs.replace(result, run_id="20260102T000000000-bbbb")

    ledger.record_result(again)

    assert ledger.result(record.key) == again
    assert list(ledger.results()) == [again]


def test_a_step_is_compared_with_the_latest_results_of_its_kind(ledger: Ledger) -> None:
    """They come latest first and never more than a fixed number, whatever the length of the history."""
    made = numbered(2 * compared_results)
    for each in made:
        ledger.record_result(each)

    assert ledger.candidates("source", "another", "another", own=False) == made[: -compared_results - 1 : -1]
    assert list(ledger.results()) == made
    assert ledger.candidates("other", "another", "another", own=False) == []


def test_runs_come_latest_first_with_their_latest_status(ledger: Ledger) -> None:
    """A run is listed once, as last recorded; one experiment's runs can be asked for."""
    ledger.record_run(run_row("1", "x", "running"))
    ledger.record_run(run_row("2", "y"))
    ledger.record_run(run_row("1", "x", "done"))

    assert [(row.run_id, row.status) for row in ledger.runs()] == [("2", "done"), ("1", "done")]
    assert [row.run_id for row in ledger.runs("x")] == ["1"]


def test_a_forgotten_run_takes_its_results_along(ledger: Ledger) -> None:
    """Deleting a run deletes what only it holds."""
    ledger.record_run(run_row(result.run_id, "x"))
    ledger.record_result(result)

    ledger.delete_runs([result.run_id])

    assert ledger.runs() == []
    assert ledger.result(record.key) is None


def test_a_transaction_happens_whole_or_not_at_all(workspace: Workspace, ledger: Ledger) -> None:
    """An error inside leaves nothing behind, also for other readers; the next transaction works."""

    def give_up_halfway() -> None:
        with ledger.transaction() as connection:
            connection.execute("INSERT INTO compilations (id, body) VALUES ('a', x'00')")
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        give_up_halfway()

    other = Ledger.open(workspace.ledger)
    assert other.compilation("a") is None
    ledger.record_compilation("b", b"1")
    assert other.compilation("b") == b"1"
    other.close()


def test_threads_take_turns(ledger: Ledger) -> None:
    """Steps publish from worker threads while others record: no transaction starts inside another."""
    failures: list[BaseException] = []

    def write(name: str) -> None:
        try:
            for number in range(50):
                ledger.record_compilation(f"{name}-{number}", b"x")
        except sqlite3.Error as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(f"thread-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert ledger.connection.execute("SELECT count(*) FROM compilations").fetchone() == (200,)


def test_processes_write_at_the_same_time(workspace: Workspace) -> None:
    """Several processes create and write one ledger together, and nothing is lost."""
    command = [sys.executable, "-c", writer, str(workspace.ledger)]
    children = [
        subprocess.Popen([*command, f"p{number}", "40"], stderr=subprocess.PIPE, text=True)
        for number in range(4)
    ]
    errors = [child.communicate(timeout=60)[1] for child in children]

    assert errors == [""] * 4
    opened = Ledger.open(workspace.ledger)
    assert opened.connection.execute("SELECT count(*) FROM compilations").fetchone() == (160,)
    opened.close()


def test_the_ledger_is_durable_and_strict(ledger: Ledger) -> None:
    """WAL, full synchronisation, and tables that refuse a value of the wrong type."""
    assert ledger.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert ledger.connection.execute("PRAGMA synchronous").fetchone() == (2,)
    with pytest.raises(sqlite3.IntegrityError, match=r"cannot store TEXT value in INTEGER column"):
        ledger.connection.execute("INSERT INTO files VALUES ('x', 1, 1, 1, 1, 'd')")
    tables = ledger.connection.execute("PRAGMA table_list").fetchall()
    assert all(strict for _, name, _, _, _, strict in tables if not name.startswith("sqlite_"))


def test_opening_again_keeps_everything(workspace: Workspace, ledger: Ledger) -> None:
    """A second opening migrates nothing and finds what the first one wrote."""
    ledger.record_result(result)
    ledger.close()

    again = Ledger.open(workspace.ledger)

    assert again.result(record.key) == result
    assert again.connection.execute("PRAGMA user_version").fetchone() == (len(migrations),)
    again.close()


def test_an_empty_ledger_knows_nothing_and_writes_nothing(tmp_path: Path) -> None:
    """The ledger for planning where no run has happened lives in memory only."""
    empty = Ledger.empty()

    assert empty.runs() == []
    empty.close()
    assert list(tmp_path.iterdir()) == []


def test_a_newer_ledger_is_refused_by_name(workspace: Workspace, ledger: Ledger) -> None:
    """A ledger of a later schema is named, with both schema numbers, and not touched."""
    newer = len(migrations) + 3
    ledger.connection.execute(f"PRAGMA user_version = {newer}")
    ledger.close()

    with pytest.raises(
        LedgerError,
        match=r"ledger\.sqlite3: " + matching("engine/written-by-newer-polytune-schema", newer=newer),
    ):
        Ledger.open(workspace.ledger)

    with sqlite3.connect(workspace.ledger) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (newer,)
    raw.close()


def test_a_file_that_is_no_ledger_is_refused_and_kept(workspace: Workspace) -> None:
    """Garbage is told as such, with the remedy, and left as it was."""
    workspace.ledger.write_bytes(b"this is not a database, but it is long enough" * 40)
    before = workspace.ledger.read_bytes()

    with pytest.raises(LedgerError, match=r"ledger\.sqlite3: " + matching("engine/not-readable-ledger")):
        Ledger.open(workspace.ledger)

    assert workspace.ledger.read_bytes() == before


def test_a_folder_in_the_ledgers_place_is_told(workspace: Workspace) -> None:
    """A folder where the ledger should be is an error of one line."""
    workspace.ledger.mkdir()

    with pytest.raises(
        LedgerError, match=r"ledger\.sqlite3: " + matching("engine/cannot-be-opened-unable-to-open")
    ):
        Ledger.open(workspace.ledger)


def test_a_migration_that_fails_changes_nothing(workspace: Workspace) -> None:
    """A ledger in which a table is in the way stays at its version, and its table stays."""
    with sqlite3.connect(workspace.ledger) as raw:
        raw.execute("CREATE TABLE runs (mine TEXT)")
    raw.close()

    with pytest.raises(LedgerError, match=matching("engine/cannot-be-used-table-runs-already")):
        Ledger.open(workspace.ledger)

    with sqlite3.connect(workspace.ledger) as raw:
        names = raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        assert names == [("runs",)]
        assert raw.execute("PRAGMA user_version").fetchone() == (0,)
    raw.close()


def test_times_are_utc_to_the_millisecond() -> None:
    """Every stamp has the same form, so stamps sort as text."""
    assert utc_now()[-5] == "."
    assert utc_now().endswith("Z")
    assert len(utc_now()) == len("2026-01-01T00:00:00.000Z")


def test_many_may_make_a_ledger_at_once(tmp_path: Path) -> None:
    """Whoever comes while another one makes the file waits for it, and all find the same ledger."""
    for round_number in range(25):
        path = tmp_path / str(round_number) / "ledger.sqlite3"
        with ThreadPoolExecutor(8) as pool:
            ledgers = list(pool.map(lambda _: Ledger.open(path), range(8)))  # noqa: B023
        ledgers[0].record_compilation("a", b"b")
        assert [ledger.compilation("a") for ledger in ledgers] == [b"b"] * 8
        for ledger in ledgers:
            ledger.close()


def test_totals_follow_every_answer_that_is_added_changed_or_removed(ledger: Ledger) -> None:
    """The totals are those of the rows, also after a repair by hand; others' answers do not count."""
    answers = AnswerMemory(ledger, "x")
    answers.store_now(
        StoredAnswer(ask=Ask(f"{n:064x}", 0), body=b"{}", price_usd=0.25 if n % 2 else None, tokens=n)
        for n in range(10)
    )
    AnswerMemory(ledger, "y").store_now([StoredAnswer(ask=Ask("f" * 64, 0), body=b"{}", price_usd=9.0)])
    assert ledger.spent("x") == Spent(usd=1.25, requests=10, tokens=45)
    with ledger.transaction() as connection:
        connection.execute("UPDATE answers SET price_usd = 1.0, tokens = 1 WHERE request = ?", (f"{0:064x}",))
        connection.execute("DELETE FROM answers WHERE request = ?", (f"{9:064x}",))
        connection.execute("UPDATE answers SET experiment = 'y' WHERE request = ?", (f"{8:064x}",))

    assert ledger.spent("x") == Spent(usd=1.0 + 4 * 0.25, requests=8, tokens=1 + 28)
    assert ledger.spent("y") == Spent(usd=9.0, requests=2, tokens=8)
    assert ledger.spent("nobody") == Spent()
    assert ledger.spent("x", since="2000-01-01T00:00:00.000Z") == ledger.spent("x")
    assert ledger.spent("x", since="2999-01-01T00:00:00.000Z") == Spent()
