"""Variants of one experiment: what they have in common is found out once."""

from __future__ import annotations

from polytune.engine.ledger import Ledger
from polytune.engine.workspace import Workspace
from polytune.step_factory import StepFindings


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
