"""A path means the same wherever it is stated, and its name is in no output: every field that names one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from polytune.engine.compiled import Compiled
from polytune.spec.fields import fields_of
from polytune.spec.model import FileMarker, Spec
from polytune.spec.resolved import walk
from polytune.step_factory import spec_families
from polytune.wiring import OpenWorkspace
from tests.pipeline.input_experiments import experiments, place
from tests.pipeline.program import Program
from tests.spec.test_spec_paths import specs

every_experiment = pytest.mark.parametrize("name", experiments)


def compiled(file: Path, *overrides: str) -> tuple[Compiled, ...]:
    """The experiment as a command compiles it."""
    opened = OpenWorkspace.open(file, None)
    try:
        return opened.compile(file, overrides)
    finally:
        opened.ledger.close()


def named(found: Compiled) -> dict[str, str]:
    """Field -> path from the workspace, of every file and folder."""
    return {f"steps.{step.id}.{field}": path for step in found.steps for field, path in step.files.items()}


def path_fields(cls: type[Spec]) -> Iterator[tuple[str, str]]:
    """The fields of one spec class that name a file or folder."""
    yield from ((cls.__name__, key) for key, shape in fields_of(cls).items() if shape.marker(FileMarker))


def test_every_path_field_has_an_experiment(tmp_path: Path) -> None:
    """A new field that names a file or folder is tried below only when an experiment names one."""
    (tmp_path / "runs").mkdir()
    stated: set[tuple[str, str]] = set()
    for name, experiment in experiments.items():
        file = tmp_path / f"{name}.yaml"
        file.write_text(experiment.placed(tmp_path).yaml())
        opened = OpenWorkspace.open(file, None)
        (found,) = opened.compile(file, ())
        factory = opened.step_factory(found)
        inner = [each.value for step in found.steps for each in walk(factory.fresh(step).spec)]
        opened.ledger.close()
        stated |= {
            each
            for spec in inner
            if isinstance(spec, Spec)
            for each in path_fields(type(spec))
            if getattr(spec, each[1])
        }

    known = {
        each
        for family in spec_families.values()
        for member in family.names()
        for cls in specs(family.load(member).Spec, set())
        for each in path_fields(cls)
    }
    assert stated == known


@every_experiment
def test_a_path_is_relative_to_the_file_that_states_it(name: str, tmp_path: Path) -> None:
    """A base file's paths start at its folder, also as a matrix axis; a namesake elsewhere is not it."""
    (tmp_path / "runs").mkdir()
    for folder in ("base", "child"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "named.yaml").write_text(experiments[name].placed(tmp_path / folder).yaml())
    child = tmp_path / "child/child.yaml"
    child.write_text("extends: ../base/named.yaml\nname: child\n")

    (found,) = compiled(child)

    assert set(named(found).values()) == {
        f"base/{word}" for word in experiments[name].yaml().split() if word.startswith(place)
    }
    # No axis is inside of a list.
    for field in (each for each in named(found) if not re.search(r"\.\d", each)):
        axis = {field: [named(found)[field].removeprefix("base/")]}
        (tmp_path / "base/named.yaml").write_text(f"{experiments[name].yaml()}matrix: {json.dumps(axis)}\n")
        (variant,) = compiled(child)
        assert named(variant) == named(found), field


@every_experiment
def test_a_recorded_spec_names_the_same(name: str, tmp_path: Path) -> None:
    """The spec.yaml of a run, compiled in the run's folder, decides the same from the same files."""
    file, recorded = tmp_path / "named.yaml", tmp_path / "runs/named/some-run/spec.yaml"
    recorded.parent.mkdir(parents=True)
    file.write_text(experiments[name].placed(tmp_path).yaml())
    (found,) = compiled(file)
    recorded.write_text(yaml.safe_dump(found.spec))
    (again,) = compiled(recorded)

    assert named(again) == named(found)
    assert [(step.spec, step.facts) for step in again.steps] == [
        (step.spec, step.facts) for step in found.steps
    ]


@every_experiment
def test_a_path_on_the_command_line_is_relative_to_the_current_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As everything that is typed there."""
    (tmp_path / "runs").mkdir()
    for folder in ("file", "current"):
        (tmp_path / folder).mkdir()
        experiments[name].placed(tmp_path / folder)
    file = tmp_path / "file/named.yaml"
    file.write_text(experiments[name].yaml())
    (found,) = compiled(file)
    monkeypatch.chdir(tmp_path / "current")

    (typed,) = compiled(
        file, *(f"{field}={path.removeprefix('file/')}" for field, path in named(found).items())
    )

    assert named(typed) == {
        field: path.replace("file/", "current/", 1) for field, path in named(found).items()
    }


@pytest.mark.parametrize(
    "name",
    [pytest.param(each, marks=[pytest.mark.slow] if each == "training" else []) for each in experiments],
)
def test_names_of_inputs_are_in_no_output(name: str, tmp_path: Path) -> None:
    """Two workspaces whose inputs have the same bytes under other names have the same keys and outputs."""
    experiment = experiments[name]
    keys, outputs = [], []
    for number, prefix in enumerate((place, "elsewhere/new-")):
        root = tmp_path / f"workspace-{number}"
        (root / "runs").mkdir(parents=True)
        (root / "named.yaml").write_text(experiment.placed(root, prefix).yaml())
        words = ("--rehearse",) if experiment.rehearsed else ()
        steps = Program(root).run(*words, "named.yaml")["steps"]
        keys.append({step: report["key"] for step, report in steps.items()})
        outputs.append({step: report["output_digest"] for step, report in steps.items()})
        assert "new-" not in json.dumps(steps)

    assert keys[0] == keys[1]
    # What an account makes has names and times of its own each time.
    assert experiment.rehearsed or outputs[0] == outputs[1]
