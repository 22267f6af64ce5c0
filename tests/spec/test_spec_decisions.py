"""What is hashed of a spec: its decisions, never what the program would do anyway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import create_model

from polytune.errors import Problem
from polytune.spec.model import Spec
from polytune.spec.reading import read_yaml
from polytune.spec.resolved import decisions, spec_json
from polytune.spec.validate import validated
from polytune.step_factory import member_spec, spec_families
from tests.examples import Named, examples_of
from tests.golden import AnyExample

examples = [
    (family, each) for family in spec_families for each in examples_of(spec_families[family], AnyExample)
]


def spec_of(family: str, named: Named[AnyExample], more: dict[str, Any], folder: Path) -> Spec:
    """The example's spec, with further fields stated."""
    member = {} if family == "steps" else {"kind": named.member}
    path = folder / "spec.yaml"
    text = yaml.safe_dump({**member, **named.example.spec, **more})
    # The suites put their own server and bucket there; here nothing is sent.
    text = text.replace("{server}", "https://teacher.example").replace("{bucket}", "some-bucket")
    path.write_text(text, encoding="utf-8")
    problems: list[Problem] = []
    spec = validated(member_spec(family, named.member), read_yaml(path), "spec", problems, member_spec)
    assert spec is not None, problems
    return spec


@pytest.mark.parametrize(("family", "named"), examples, ids=lambda each: str(each))
def test_a_default_that_is_stated_is_no_decision(
    family: str, named: Named[AnyExample], tmp_path: Path
) -> None:
    """Each field that the example leaves out is written down with its default: nothing else is hashed."""
    usual = spec_of(family, named, {}, tmp_path)
    stated = spec_json(usual)
    assert isinstance(stated, dict)
    left_out = {name: value for name, value in stated.items() if name not in named.example.spec}
    explicit = {name: value for name, value in left_out.items() if value is not None and name != "kind"}

    again = spec_of(family, named, explicit, tmp_path)

    assert decisions(again).spec == decisions(usual).spec
    assert decisions(again).defaults == decisions(usual).defaults


@pytest.mark.parametrize(("family", "named"), examples, ids=lambda each: str(each))
def test_an_option_of_a_later_release_is_no_decision(
    family: str, named: Named[AnyExample], tmp_path: Path
) -> None:
    """A class with one more optional field hashes the same; only stating another value is a decision."""
    usual = spec_of(family, named, {}, tmp_path)
    make: Any = create_model
    later = make("Later", __base__=type(usual), since_later=(str, "as before"))
    fields = {name: getattr(usual, name) for name in type(usual).model_fields}

    silent: Spec = later.model_construct(**fields, since_later="as before")
    stated: Spec = later.model_construct(**fields, since_later="otherwise")

    assert decisions(silent).spec == decisions(usual).spec
    assert decisions(stated).spec == {**decisions(usual).spec, "since_later": "otherwise"}
    assert decisions(silent).defaults["since_later"] == "as before"
