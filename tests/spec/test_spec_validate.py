"""Located nodes become typed, frozen specs, and specs become canonical JSON."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from polytune.errors import Problem
from polytune.fingerprint import Json
from polytune.spec.compose import compose
from polytune.spec.located import Node, at
from polytune.spec.model import Items, Spec
from polytune.spec.resolved import input_files, spec_json, walk
from polytune.spec.validate import validated
from tests.messages import message
from tests.spec.spec_samples import (
    Composer,
    Deploy,
    Format,
    Generate,
    Polychat,
    Regex,
    Split,
    Train,
    sample_member,
)


class Colour(StrEnum):
    """A closed set."""

    RED = "red"
    BLUE = "blue"


class Shapes(Spec):
    """Fields of less usual types."""

    colour: Colour = Colour.RED
    """A member of an Enum."""
    rate: float = 1
    """A float whose default is written as a whole number."""
    either: int | str = 0
    """A number or text."""
    short: Annotated[str, Field(min_length=1, max_length=3)] = "x"
    """A short text."""
    parts: Items[Split] = ()
    """Specs inside a list."""
    share: float | Split = 1.0
    """A number or a spec."""


def node_of(folder: Path, text: str, *overrides: str, **environment: str) -> Node:
    """The tree that a file with this text stands for."""
    (folder / "x.yaml").write_text(text, encoding="utf-8")
    found = compose(folder / "x.yaml", overrides, environment)
    assert found.problems == ()
    return found.variants[0].root


def generate_node(folder: Path) -> Node:
    """The step of GENERATE."""
    node = at(node_of(folder, GENERATE), ["steps", "x"])
    assert node
    return node


def told(cls: type[Spec], node: Node) -> list[str]:
    """What validation says, without the file."""
    problems: list[Problem] = []
    assert validated(cls, node, "steps.x", problems, sample_member) is None
    return [f"{each.line}:{each.column}: {each.where}: {each.what}" for each in sorted(problems)]


def spec_of(cls: type[Spec], node: Node) -> Spec:
    """The spec of a node that is right."""
    problems: list[Problem] = []
    spec = validated(cls, node, "", problems, sample_member)
    assert problems == []
    assert spec is not None
    return spec


GENERATE = """steps:
 x:
  prompts: x.yaml
  teacher: {kind: polychat, model: m, api_key: "${secret:KEY}", headers: {X-Key: "${secret:OTHER}"}}
  graders:
  - {kind: regex, pattern: "a+"}
  - {kind: python, path: x.yaml}
  fallbacks: [{kind: composer, temperature: 1}]
  matrix: {style: [techno, 2, 0.5]}
"""


def test_members_are_instances_of_their_own_specs(tmp_path: Path) -> None:
    """Each member field, alone or in a list, holds the spec class that its kind names."""
    spec = spec_of(Generate, generate_node(tmp_path))

    assert isinstance(spec, Generate)
    assert isinstance(spec.teacher, Polychat)
    assert spec.teacher.api_key == "${secret:KEY}"
    assert isinstance(spec.graders[0], Regex)
    assert spec.fallbacks == (Composer(kind="composer", temperature=1.0),)
    assert spec.matrix == {"style": ("techno", 2, 0.5)}


def test_canonical_json_holds_everything_and_types_stay(tmp_path: Path) -> None:
    """The JSON of a spec has its defaults, its members' kinds, and floats where floats are meant."""
    assert spec_json(spec_of(Generate, generate_node(tmp_path))) == {
        "prompts": "x.yaml",
        "teacher": {
            "kind": "polychat",
            "model": "m",
            "api_key": "${secret:KEY}",
            "headers": {"X-Key": "${secret:OTHER}"},
        },
        "count": 10,
        "matrix": {"style": ["techno", 2, 0.5]},
        "graders": [{"kind": "regex", "pattern": "a+"}, {"kind": "python", "path": "x.yaml"}],
        "fallbacks": [{"kind": "composer", "temperature": 1.0}],
        "on_reject": "drop",
        "seed": 0,
    }
    rate = walk_value(spec_json(Shapes()), "rate")
    assert (rate, type(rate)) == (1.0, float)
    given = walk_value(spec_json(spec_of(Shapes, node_of(tmp_path, "rate: 2\ncolour: blue"))), "rate")
    assert (given, type(given)) == (2.0, float)


def walk_value(value: Json, key: str) -> Json:
    """A value of a JSON object."""
    assert isinstance(value, Mapping)
    found: Json = value[key]
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("colour: green", ["1:9: steps.x.colour: " + message("spec/must-be-one", name="green")]),
        ("either: [1]", ["1:9: steps.x.either: " + message("spec/must-be-whole-number-or-text")]),
        ("either:", ["1:8: steps.x.either: " + message("spec/must-be-whole-number-or-text-not-empty")]),
        ("short: ''", ["1:8: steps.x.short: " + message("spec/must-not-be-empty")]),
        ("short: abcd", ["1:8: steps.x.short: " + message("spec/has-characters", characters=4, number=3)]),
        ("share: half", ["1:8: steps.x.share: " + message("spec/must-be-number-or-mapping", name="half")]),
        (
            "share: {trian: 1}",
            ["1:9: steps.x.share: " + message("spec/unknown-key", key="trian", suggestion="train")],
        ),
        ("parts: [{train: 0.5}]", ["1:9: steps.x.parts.0: " + message("spec/shares-add-up", number="0.7")]),
        (
            "rate: yes\ncolor: red",
            [
                "1:7: steps.x.rate: " + message("spec/must-be-number", found="yes"),
                "2:1: steps.x: " + message("spec/unknown-key", key="color", suggestion="colour"),
            ],
        ),
    ],
)
def test_less_usual_types_are_told_in_the_same_words(text: str, expected: list[str], tmp_path: Path) -> None:
    """Enums, unions, lengths and specs in lists are told where and as the plain types are."""
    assert told(Shapes, node_of(tmp_path, text)) == expected


def test_types_are_strict(tmp_path: Path) -> None:
    """Text is no number, a truth value is no number, a fraction no whole number, and a number no text."""
    text = "base_model: 5\nepochs: '2'\nlearning_rate: true\nplatform: {kind: local}\nwarmup: 2.0\n"

    assert told(Train, node_of(tmp_path, text)) == [
        "1:13: steps.x.base_model: " + message("general/must-be-text", number=5),
        "2:9: steps.x.epochs: " + message("spec/must-be-whole-number", number=2),
        "3:16: steps.x.learning_rate: " + message("spec/must-be-number", found="true"),
        "5:9: steps.x.warmup: " + message("spec/must-be-whole-number-or-one", number="2.0"),
    ]


def test_the_environment_and_the_command_line_take_the_field_s_type(tmp_path: Path) -> None:
    """A variable may hold a number or a truth value, and `--set` may give digits to a text field."""
    node = node_of(
        tmp_path,
        "shuffle: ${env:SHUFFLE}\nsystem: {a: '${env:DIGITS}'}\n",
        "split.train=1",
        "split.test=0",
        SHUFFLE="no",
        DIGITS="12",
    )
    spec = spec_of(Format, node)
    deploy = spec_of(Deploy, node_of(tmp_path, "kind: on_demand\n", "ttl=7"))

    assert isinstance(spec, Format)
    assert (spec.shuffle, spec.system, spec.split.train) == (False, {"a": "12"}, 1.0)
    assert isinstance(deploy, Deploy)
    assert deploy.ttl == "7"


def test_secret_values_are_never_shown(tmp_path: Path) -> None:
    """A secret written into a file or fetched with `${env:}` is refused without being repeated."""
    text = "kind: polychat\nmodel: m\napi_key: '${env:KEY}'\nheaders: {a: 12345, b: [sk-list]}\n"

    found = told(Polychat, node_of(tmp_path, text, KEY="sk-hidden"))

    assert len(found) == 3
    assert all("must be ${secret:NAME}" in each for each in found)
    assert not any(value in each for value in ("sk-hidden", "12345", "sk-list") for each in found)


def test_files_resolve_against_the_file_that_states_them(tmp_path: Path) -> None:
    """A path stated in a parent in another folder is relative to that folder; others to their own file."""
    (tmp_path / "bases").mkdir()
    (tmp_path / "bases" / "prompts.yaml").write_text("p", encoding="utf-8")
    (tmp_path / "grader.py").write_text("g", encoding="utf-8")
    base = "prompts: prompts.yaml\nteacher: {kind: composer}\n"
    (tmp_path / "bases" / "base.yaml").write_text(base, encoding="utf-8")
    node = node_of(tmp_path, "extends: bases/base.yaml\ngraders: [{kind: python, path: ./grader.py}]\n")
    problems: list[Problem] = []

    files = input_files(spec_of(Generate, node), node, "steps.x", problems)

    assert problems == []
    assert files == {
        "prompts": tmp_path / "bases" / "prompts.yaml",
        "graders.0.path": tmp_path / "grader.py",
    }


def test_a_spec_can_be_walked_with_and_without_its_members(tmp_path: Path) -> None:
    """Walking visits every value with its path; without members it stops at them."""
    spec = spec_of(Generate, generate_node(tmp_path))

    everything = {".".join(found.path) for found in walk(spec)}
    own = {".".join(found.path) for found in walk(spec, into_members=False)}

    assert {"", "teacher.model", "graders.1.path", "matrix.style.2"} <= everything
    assert own == {path for path in everything if not path.startswith(("teacher", "graders.", "fallbacks."))}


def test_a_spec_cannot_be_changed(tmp_path: Path) -> None:
    """A validated spec is frozen."""
    spec = spec_of(Split, node_of(tmp_path, "train: 0.5\ntest: 0.5\n"))

    with pytest.raises(ValueError, match="frozen"):
        spec.train = 1.0  # type: ignore[attr-defined]
