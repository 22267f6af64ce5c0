"""What every step kind promises, asked of every example of every member."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import yaml

from polytune.engine.answers import AnswerMemory
from polytune.engine.ledger import Ledger
from polytune.engine.step import STEPS, Estimate, Scope, Step
from polytune.errors import Problem
from polytune.settings import Settings
from polytune.spec.reading import read_yaml
from polytune.spec.resolved import named_files
from polytune.spec.validate import validated
from polytune.step_factory import member_spec
from tests.examples import Example, Named, examples_of, placed


@pytest.fixture(params=examples_of(STEPS, Example), ids=str)
def step(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Step]:
    """Each example in turn, as an experiment file would state it."""
    named: Named[Example] = request.param
    cls = STEPS.load(named.member)
    with placed(named, tmp_path, Settings()) as place:
        path = tmp_path / "step.yaml"
        path.write_text(yaml.safe_dump(named.example.spec), encoding="utf-8")
        problems: list[Problem] = []
        spec = validated(cls.Spec, read_yaml(path), f"steps.{named.member}", problems, member_spec)
        assert spec is not None, problems
        files = {name: tmp_path / str(_at(spec, name)) for name in named_files(spec)}
        yield cls(spec, files, Scope(tmp_path, tmp_path, "test", "default", place.settings))


def _at(value: object, dotted: str) -> object:
    for part in dotted.split("."):
        value = value[int(part)] if isinstance(value, tuple) else getattr(value, part)
    return value


def test_somebody_makes_what_a_kind_needs(step: Step) -> None:
    """Each input's artifact types are made by some kind, and the kind makes one type of its own."""
    made = {STEPS.load(name).produces for name in STEPS.names()}

    assert step.produces in made
    assert {kind for port in step.consumes.values() for kind in port.types} <= made
    assert step.version >= 1


def test_facts_of_a_key_repeat(step: Step) -> None:
    """What else enters the key is plain JSON, and the same when asked again."""
    facts = step.key_facts()

    assert step.key_facts() == facts
    assert msgspec.json.decode(msgspec.json.encode(facts.facts)) == facts.facts


def test_a_step_says_what_it_lacks_and_takes_before_it_runs(step: Step, ledger: Ledger) -> None:
    """Without inputs, network or account it says in one line what is missing, and estimates what it can."""
    estimate = step.estimate({}, AnswerMemory(ledger, "test"))

    assert "\n" not in str(step.missing())
    assert isinstance(estimate, Estimate)
    if estimate.usd_low is not None and estimate.usd_high is not None:
        assert 0 <= estimate.usd_low <= estimate.usd_high
