"""Variants of one experiment: what they have in common is found out once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from polytune.engine.compiled import Compilation
from polytune.engine.ledger import Ledger, remembered_compilations
from polytune.engine.workspace import Workspace
from polytune.errors import UsageError
from polytune.step_factory import StepFindings
from polytune.wiring import OpenWorkspace
from tests.messages import matching

repository = Path(__file__).parents[2]
axes = {
    "seed": "[7, 8]",
    "project": "[strudel, other]",
    "steps.train.epochs": "[2, 3]",
    "steps.generate.teacher": "[{kind: composer}, {kind: none}]",
    "steps.format.needs": "[[], [generate]]",
}


@pytest.fixture
def swept(tmp_path: Path) -> Path:
    """An experiment with variants that differ at the top, in steps and in wiring."""
    (tmp_path / "runs").mkdir()
    lines = [f"  {name}: {values}" for name, values in axes.items()]
    quickstart = repository / "experiments" / "quickstart.yaml"
    file = tmp_path / "swept.yaml"
    file.write_text("\n".join([f"extends: {quickstart}", "name: swept", "matrix:", *lines, ""]))
    return file


@pytest.fixture
def opened(swept: Path) -> Iterator[OpenWorkspace]:
    """Its open workspace."""
    found = OpenWorkspace.open(swept, None, creating=True)
    yield found
    found.ledger.close()


def test_a_variant_is_the_same_alone_and_among_the_others(opened: OpenWorkspace, swept: Path) -> None:
    """What variants share when they are compiled together changes none of them."""
    together = opened.compile(swept, ())

    assert len({each.name for each in together}) == len(together) == 2 ** len(axes)
    for each in together[:: len(axes)]:
        assert opened.compile(swept, (), each.name) == (each,)


def test_one_variant_is_compiled_and_remembered_alone(opened: OpenWorkspace, swept: Path) -> None:
    """`--variant` compiles nothing else, under either of its names, and recalls it the next time."""
    name = "seed=8,project=other,epochs=3,teacher=none,needs=generate"

    first = opened.compile(swept, (), name)
    (remembered,) = opened.ledger.connection.execute("SELECT body FROM compilations").fetchone()

    assert [each.name for each in first] == [f"swept@{name}"]
    assert len(msgspec.json.decode(remembered, type=Compilation).variants) == 1
    assert opened.compile(swept, (), name) == first


def test_an_unknown_variant_is_refused_with_the_nearest_name(opened: OpenWorkspace, swept: Path) -> None:
    """All names are known, although no variant was compiled; nothing is remembered."""
    with pytest.raises(UsageError, match=matching("engine/no-such-variant", variant="seed=9")):
        opened.compile(swept, (), "seed=9")

    assert opened.ledger.connection.execute("SELECT count(*) FROM compilations").fetchone() == (0,)


def test_only_the_latest_compilations_are_kept(ledger: Ledger, workspace: Workspace) -> None:
    """A workspace that sees a thousand values of `--set` does not remember them for ever."""
    for number in range(remembered_compilations + 20):
        ledger.record_compilation(str(number), b"x")

    with closing(sqlite3.connect(workspace.ledger)) as raw:
        kept = raw.execute("SELECT count(*), min(rowid) FROM compilations").fetchone()
    assert kept == (remembered_compilations, 21)


def test_a_question_is_answered_once_while_the_ledger_stays(ledger: Ledger) -> None:
    """Equal questions share a finding, other questions have their own."""
    findings = StepFindings(ledger)
    numbers = iter(range(9))

    found = [findings.about(question, lambda: next(numbers)) for question in ("a", "b", "a")]

    assert found == [0, 1, 0]


def test_a_finding_ends_with_the_next_write(ledger: Ledger, workspace: Workspace) -> None:
    """After a write of this process or of another one, the question is asked again."""
    findings, other = StepFindings(ledger), Ledger.open(workspace.ledger)
    states = iter(range(3))

    first = findings.about("spent", lambda: next(states))
    ledger.record_compilation("x", b"")
    second = findings.about("spent", lambda: next(states))
    other.record_compilation("y", b"")
    third = findings.about("spent", lambda: next(states))
    other.close()

    assert (first, second, third) == (0, 1, 2)
