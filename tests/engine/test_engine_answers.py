"""The answer memory: what was acknowledged is there for ever, whatever happens to the process."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polytune.engine.answers import AnswerMemory, Ask, StoredAnswer, batch_lookups, gather_seconds
from polytune.engine.former import former_request
from polytune.engine.ledger import Ledger
from polytune.engine.workspace import Workspace
from polytune.errors import LedgerError
from tests.messages import matching

writing = """
import asyncio, sys
from pathlib import Path
from polytune.engine.answers import AnswerMemory, Ask, StoredAnswer
from polytune.engine.ledger import Ledger

async def one(memory, number):
    ask = Ask(f"request-{number % 7}", number)
    await memory.put(StoredAnswer(ask=ask, body=b"answer %d" % number, price_usd=0.5))
    print(number, flush=True)

async def main():
    async with AnswerMemory(Ledger.open(Path(sys.argv[1])), "x") as memory:
        for start in range(0, 10_000, 5):
            await asyncio.gather(*(one(memory, start + n) for n in range(5)))

asyncio.run(main())
"""


def answer(number: int, draw: int = 0) -> StoredAnswer:
    """An answer to the request of that number."""
    return StoredAnswer(ask=Ask(f"request-{number}", draw), body=b"answer %d" % number, price_usd=0.25)


def put_all(memory: AnswerMemory, answers: list[StoredAnswer]) -> float:
    """All answers were put at the same time; the seconds it took are returned."""

    async def put() -> None:
        async with memory:
            await asyncio.gather(*(memory.put(each) for each in answers))

    started = time.monotonic()
    asyncio.run(put())
    return time.monotonic() - started


def test_an_answer_is_found_under_its_request_and_draw(ledger: Ledger) -> None:
    """The same request at another draw is another answer."""
    memory = AnswerMemory(ledger, "x")
    put_all(memory, [answer(1), answer(1, draw=1)])

    assert memory.get(Ask("request-1", 0)) == answer(1)
    assert memory.get(Ask("request-1", 1)) == answer(1, draw=1)
    assert memory.get(Ask("request-1", 2)) is None
    assert memory.get(Ask("request-2", 0)) is None


def test_the_first_answer_stays(ledger: Ledger) -> None:
    """An answer that is there already is not replaced: later samples keep what earlier ones used."""
    memory = AnswerMemory(ledger, "x")
    put_all(memory, [answer(1)])

    put_all(memory, [StoredAnswer(ask=answer(1).ask, body=b"another", price_usd=9.0)])

    assert memory.get(answer(1).ask) == answer(1)


def test_another_process_sees_an_answer_once_put_returned(workspace: Workspace, ledger: Ledger) -> None:
    """`put` returns after the commit: another connection finds the answer right then."""
    memory, other = AnswerMemory(ledger, "x"), Ledger.open(workspace.ledger)

    async def put_and_look() -> StoredAnswer | None:
        async with memory:
            await memory.put(answer(1))
            return AnswerMemory(other, "y").get(answer(1).ask)

    assert asyncio.run(put_and_look()) == answer(1)
    other.close()


def test_answers_that_arrive_together_are_one_transaction(ledger: Ledger) -> None:
    """A thousand answers at once cost one pause and one commit, not a thousand."""
    commits: list[str] = []
    ledger.connection.set_trace_callback(lambda said: commits.append(said) if said == "COMMIT" else None)

    put_all(AnswerMemory(ledger, "x"), [answer(number) for number in range(1000)])

    ledger.connection.set_trace_callback(None)
    assert ledger.spent("x").requests == 1000
    assert len(commits) <= 2


def test_leaving_stores_what_is_still_waiting(ledger: Ledger) -> None:
    """Answers put by tasks that were cancelled right after are stored all the same: they are paid for."""
    memory = AnswerMemory(ledger, "x")

    async def cancelled() -> None:
        async with memory:
            tasks = [asyncio.create_task(memory.put(answer(number))) for number in range(20)]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(cancelled())

    assert sum(1 for _ in memory.find(answer(number).ask for number in range(20))) == 20


@pytest.mark.parametrize(
    "count", [0, 1, batch_lookups - 1, batch_lookups, batch_lookups + 1, 2 * batch_lookups]
)
def test_any_number_is_found(ledger: Ledger, count: int) -> None:
    """Looking up in chunks finds exactly what is there, at every border of a chunk."""
    memory = AnswerMemory(ledger, "x")
    memory.store_now(answer(number) for number in range(0, count, 2))

    found = {each.ask for each in memory.find(answer(number).ask for number in range(count))}

    assert found == {answer(number).ask for number in range(0, count, 2)}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sets(st.tuples(st.text(max_size=5), st.integers(0, 3))),
    st.lists(st.tuples(st.text(max_size=5), st.integers(0, 3))),
)
def test_memory_is_a_mapping(
    ledger: Ledger, stored: set[tuple[str, int]], wanted: list[tuple[str, int]]
) -> None:
    """What is found is what was stored and asked for, whatever the requests are called."""
    with ledger.transaction() as connection:
        connection.execute("DELETE FROM answers")
    memory = AnswerMemory(ledger, "x")
    memory.store_now(StoredAnswer(ask=Ask(*ask), body=repr(ask).encode(), price_usd=None) for ask in stored)

    found = {(each.ask.request, each.ask.draw): each for each in memory.find(Ask(*ask) for ask in wanted)}

    assert found.keys() == stored & set(wanted)
    assert all(each.body == repr(ask).encode() for ask, each in found.items())


def test_what_an_experiment_spent_is_the_sum_of_its_answers(ledger: Ledger) -> None:
    """Prices add up by experiment; an answer without a price adds nothing."""
    AnswerMemory(ledger, "x").store_now([answer(1), answer(2)])
    AnswerMemory(ledger, "y").store_now([answer(3)])
    free = StoredAnswer(ask=Ask("free", 0), body=b"", price_usd=None)
    AnswerMemory(ledger, "x").store_now([free])

    assert ledger.spent_usd("x") == 0.5
    assert ledger.spent_usd("y") == 0.25
    assert ledger.spent_usd("z") == 0.0


def test_an_answer_that_cannot_be_stored_is_told_to_its_caller(ledger: Ledger) -> None:
    """When the ledger refuses, `put` raises; it never says that an answer is safe that is not."""
    with ledger.transaction() as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON answers BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )

    with pytest.raises(LedgerError, match=matching("engine/answer-could-not-be-stored")):
        put_all(AnswerMemory(ledger, "x"), [answer(1)])


def test_a_reader_is_never_in_a_writers_way(ledger: Ledger) -> None:
    """Looking up from a worker thread while answers are stored works, as steps do it."""
    memory = AnswerMemory(ledger, "x")
    failures: list[sqlite3.Error] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            try:
                list(memory.find(answer(number).ask for number in range(50)))
            except sqlite3.Error as error:
                failures.append(error)

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(100):
        memory.store_now([answer(number)])
    done.set()
    reader.join()

    assert failures == []


@pytest.mark.parametrize("seconds", [0.0, gather_seconds, 0.15])
def test_whatever_put_acknowledged_survives_kill_9(workspace: Workspace, seconds: float) -> None:
    """Every answer whose `put` had returned when the writer was killed is found afterwards, whole."""
    with subprocess.Popen(
        [sys.executable, "-c", writing, str(workspace.ledger)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
        lines = [first, *child.stdout.read().split("\n")[:-1]]

    acknowledged = {int(line) for line in lines}
    ledger = Ledger.open(workspace.ledger)
    memory = AnswerMemory(ledger, "x")
    found = {
        each.ask.draw: each.body for each in memory.find(Ask(f"request-{n % 7}", n) for n in acknowledged)
    }
    ledger.close()
    assert found == {number: b"answer %d" % number for number in acknowledged}


def test_an_answer_of_the_first_format_is_found_under_its_former_identity(ledger: Ledger) -> None:
    """It is given out under today's identity and stays where it is; an answer under that one comes first."""
    memory = AnswerMemory(ledger, "x")
    memory.store_now([StoredAnswer(ask=Ask("former", 3), body=b"kept", price_usd=None)])
    today = Ask("today", 0, ("former", 3))

    assert memory.get(Ask("today", 0)) is None
    found = memory.get(today)
    memory.store_now([StoredAnswer(ask=today, body=b"newer", price_usd=None)])

    assert (found and (found.ask, found.body)) == (today, b"kept")
    assert [each.body for each in memory.find([today, Ask("other", 0, ("other", 0))])] == [b"newer"]


def test_the_former_identity_of_a_question_is_what_it_was() -> None:
    """Golden: ledgers of the first format hold answers under this digest."""
    teacher = {"kind": "composer", "dialect": "strudel", "grammar": 1, "since": "left out, as not asked then"}
    request = {
        "system": 'Say "ü"\n\x7f\u2028',
        "prompt": "Ein Stück\t\\",
        "variables": {"b": 1.5, "a": "x", "c": 2},
    }

    digest = former_request("composer", teacher, request)

    assert digest == "f7cfbe4544457d9602ece6f28dd52198130b29d407c430fb8b806bba33189c42"
