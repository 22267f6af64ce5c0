"""Every kind of mistake in every field of every step: told with its place, and never as a bug."""

from __future__ import annotations

import pytest

from polytune.engine.compile import Surroundings, compile_experiment
from polytune.engine.filememory import FileMemory
from polytune.engine.ledger import Ledger
from polytune.engine.step import STEPS
from polytune.engine.workspace import Workspace
from polytune.errors import Problem, SpecError
from polytune.settings import Settings
from polytune.spec.fields import fields_of
from polytune.spec.model import Spec
from polytune.spec.reading import parse_value
from polytune.step_factory import member_spec, member_version, spec_families
from tests.messages import message

always_wrong = (
    '"${env:NOT_SET}"',
    "${env:NOT_SET}",
    '"${env:NOT_SET"',
    '"${nothing:x}"',
    '"${spec:no.such.key}"',
    "1e400",
    "99999999999999999999",
    "!!int 5e-5",
    "!!float none",
    "!!python/name:os.system x",
    "*nowhere",
    "{a: 1, a: 2}",
)
"""YAML that no field takes, whatever its type."""
perhaps_wrong = (
    "no",
    "012",
    "1:30",
    ".inf",
    "null",
    '""',
    "[[[]]]",
    "{a: {b: {c: 1}}}",
    "-1",
    "\u00fc" * 999,
)
"""YAML that some fields take. Of the others it is a mistake like any."""


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Surroundings:
    """A workspace with a ledger in memory."""
    root = tmp_path_factory.mktemp("faults")
    memory = FileMemory(Ledger.empty())
    return Surroundings(Workspace(root), Settings(), memory, member_spec, member_version)


def told(around: Surroundings, text: str) -> list[str]:
    """The problems of an experiment file, each with its place; none for one that compiles."""
    path = around.workspace.root / "x.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        compile_experiment(path, (), around)
    except SpecError as error:
        return [str(each) for each in error.problems if each.line > 0 and each.what]
    return []


def fields(family: str, name: str) -> list[str]:
    """The keys of a member's spec."""
    cls: type[Spec] = member_spec(family, name)
    return [key for key in fields_of(cls) if key != "kind"]


def faults_of(number: int) -> tuple[str, ...]:
    """A third of the mistakes, in turn: each meets fields of every type, and all would take too long."""
    return (*always_wrong, *perhaps_wrong)[number % 3 :: 3]


@pytest.mark.parametrize("kind", STEPS.names())
def test_a_mistake_in_a_field_of_a_step(around: Surroundings, kind: str) -> None:
    """Each field of the kind with some of the mistakes, each mistake in some of the fields."""
    for number, field in enumerate(fields("steps", kind)):
        for fault in faults_of(number):
            found = told(around, f"name: x\nsteps: {{{kind}: {{{field}: {fault}}}}}\n")
            assert found or fault in perhaps_wrong, (field, fault)


homes = {
    "teachers": "generate: {prompts: p.yaml, count: 1, teacher: %s}",
    "graders": "evaluate: {graders: [%s]}",
    "sources": "collect: {sources: [%s]}",
    "platforms": "upload: {platform: %s}",
}
"""A step with a member of each family."""


@pytest.mark.parametrize("family", [name for name in spec_families if name != "steps"])
def test_a_mistake_in_a_field_of_a_member(around: Surroundings, family: str) -> None:
    """Each field of each member with some of the mistakes, in the step that holds it."""
    for name in spec_families[family].names():
        for number, field in enumerate(fields(family, name)):
            for fault in faults_of(number):
                member = f"{{kind: {name}, {field}: {fault}}}"
                found = told(around, f"name: x\nsteps: {{{homes[family] % member}}}\n")
                assert found or fault in perhaps_wrong, (name, field, fault)


@pytest.mark.parametrize("fault", always_wrong)
def test_a_mistake_in_place_of_a_step_or_a_part_of_the_file(around: Surroundings, fault: str) -> None:
    """The mistake as a whole step, and as each of the file's own keys."""
    for text in (
        f"name: x\nsteps: {{format: {fault}}}\n",
        f"name: x\nsteps: {fault}\n",
        f"name: {fault}\nsteps: {{format: {{}}}}\n",
        f"name: x\nplatform: {fault}\nsteps: {{upload: {{}}}}\n",
        f"name: x\nmatrix: {{seed: [{fault}]}}\nsteps: {{format: {{}}}}\n",
        f"name: x\nbudget: {{usd: {fault}}}\nsteps: {{format: {{}}}}\n",
        f"extends: {fault}\nname: x\nsteps: {{format: {{}}}}\n",
    ):
        assert told(around, text), text


def test_a_reference_without_quotes_says_so(around: Surroundings) -> None:
    """Inside braces or brackets YAML reads `${` as text and a mapping; the message gives what to write."""
    (found,) = told(around, "name: x\nsteps: {train: {base_model: tiny-llama, epochs: ${env:EPOCHS}}}\n")

    assert ":2:49: " in found
    assert message("spec/reference-needs-quotes") in found


def test_a_value_from_the_command_line_has_no_comment() -> None:
    """Plain text is kept whole; what follows a list or a quoted text is refused instead of dropped."""
    problems: list[Problem] = []

    plain = [parse_value(text, "a", problems) for text in ("b # c", "x: y # z", "3 #")]
    refused = [parse_value(text, "a", problems) for text in ('"b" # c', "[1] # c")]

    assert [node and node.value for node in plain] == ["b # c", "x: y # z", "3 #"]
    assert refused == [None, None]
    assert len(problems) == 2


@pytest.mark.parametrize("name", ["objects", "ledger.sqlite3", "ledger.sqlite3-wal"])
def test_a_name_that_runs_needs_itself_is_refused(around: Surroundings, name: str) -> None:
    """An experiment's folder would be in the way of polytune's own."""
    (found,) = told(around, f"name: {name}\nsteps: {{export: {{}}}}\nplatform: {{kind: local}}\n")[:1]

    assert message("spec/name-is-reserved", name=name) in found
