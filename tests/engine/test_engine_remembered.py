"""The remembered compilation: used while everything it was made from is as it was, and no longer."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from polytune.engine.compiled import Compiled
from polytune.wiring import up_to_date
from tests.engine.engine_bench import Bench

forged = "forged by the test"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A workspace with an experiment that extends another and reads a variable, compiled once."""
    monkeypatch.setenv("GREETING", "hello")
    made = Bench.made(tmp_path, monkeypatch)
    made.write("a.txt", "alpha\n")
    made.write("base.yaml", "name: base\ndescription: real\nsteps: {a: {uses: source, path: a.txt}}\n")
    made.write("x.yaml", 'extends: base.yaml\nname: x\ntags: {greeting: "${env:GREETING}"}\n')
    return made


def compiled(bench: Bench, *overrides: str) -> Compiled:
    """The experiment, from memory where that is allowed."""
    opened = bench.opened()
    (found,) = opened.compile(bench.root / "x.yaml", overrides)
    opened.ledger.close()
    return found


def forge(bench: Bench) -> None:
    """Every remembered compilation says something else now, by which it is recognised."""
    with sqlite3.connect(bench.root / "runs" / "ledger.sqlite3") as connection:
        rows = connection.execute("SELECT id, body FROM compilations").fetchall()
        assert rows
        for name, body in rows:
            connection.execute(
                "UPDATE compilations SET body = ? WHERE id = ?",
                (body.replace(b"real", forged.encode()), name),
            )
    connection.close()


def test_an_unchanged_experiment_is_not_compiled_again(bench: Bench) -> None:
    """What the ledger remembers is what comes back."""
    first = compiled(bench)
    forge(bench)

    assert first.description == "real"
    assert compiled(bench).description == forged


def test_touching_files_compiles_nothing(bench: Bench) -> None:
    """New stamps of the same contents keep the memory."""
    compiled(bench)
    forge(bench)

    (bench.root / "x.yaml").touch()
    (bench.root / "base.yaml").touch()

    assert compiled(bench).description == forged


@pytest.mark.parametrize(
    "change",
    [
        lambda bench, patch: bench.write("x.yaml", "extends: base.yaml\nname: x\n"),
        lambda bench, patch: bench.write(
            "base.yaml", "name: b\ndescription: real\nsteps: {b: {uses: source, path: a.txt}}\n"
        ),
        lambda bench, patch: patch.setenv("GREETING", "good morning"),
        lambda bench, patch: patch.delenv("GREETING"),
    ],
    ids=["the file", "what it extends", "a variable", "a variable that is gone"],
)
def test_whatever_was_read_is_watched(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, change: Callable[[Bench, pytest.MonkeyPatch], object]
) -> None:
    """A change in anything that the compilation read makes it be made anew."""
    bench.write("x.yaml", 'extends: base.yaml\nname: x\ntags: {greeting: "${env:GREETING:-none}"}\n')
    compiled(bench)
    forge(bench)

    change(bench, monkeypatch)

    assert compiled(bench).description == "real"


def test_contents_that_only_steps_read_are_not_watched(bench: Bench) -> None:
    """An input file's content belongs to a key, not to the compilation."""
    compiled(bench)
    forge(bench)

    bench.write("a.txt", "another\n")

    assert compiled(bench).description == forged


def test_overrides_are_remembered_apart(bench: Bench) -> None:
    """`--set` has a memory of its own, and leaves the other one alone."""
    compiled(bench)
    forge(bench)

    assert compiled(bench, "description=mine").description == "mine"
    assert compiled(bench).description == forged


def test_garbage_in_memory_is_compiled_over(bench: Bench) -> None:
    """A remembered compilation that cannot be read is made anew."""
    compiled(bench)
    with sqlite3.connect(bench.root / "runs" / "ledger.sqlite3") as connection:
        connection.execute("UPDATE compilations SET body = x'7b7b'")
    connection.close()

    assert compiled(bench).description == "real"


def test_a_fresh_and_a_remembered_compilation_are_equal(bench: Bench) -> None:
    """Nothing is lost or changed on the way through the ledger."""
    assert compiled(bench) == compiled(bench)


def test_up_to_date_means_that_the_latest_run_says_the_same(bench: Bench) -> None:
    """An idle plan is up to date after its own run, and not after another experiment made its outputs."""
    bench.write("y.yaml", "name: y\nsteps: {a: {uses: source, path: a.txt}}\n")
    bench.run(bench.root / "y.yaml")
    plan = bench.plan(bench.root / "x.yaml")

    assert plan.idle
    assert not up_to_date(plan, None)
    assert up_to_date(plan, bench.run(bench.root / "x.yaml"))
