"""The top level of an experiment, and its steps taken apart."""

from __future__ import annotations

from pathlib import Path

from polytune.errors import Problem
from polytune.spec.compose import compose
from polytune.spec.experiment import Resolved, resolve
from polytune.spec.located import origins, plain
from tests.spec.spec_samples import Bedrock, Generate, Train, sample_member

GOOD = """
name: good-1.0
description: A good one
project: strudel
seed: 7
budget: {usd: 25}
platform: {kind: bedrock, bucket: data}
tags: {team: music}
steps:
  generate: {prompts: x.yaml, teacher: {kind: composer}, seed: 3}
  again: {uses: generate, prompts: x.yaml, teacher: {kind: composer}}
  format: {from: generate}
  train:
    from: {data: format}
    needs: [again, again]
    base_model: tiny-llama
  deploy: {kind: on_demand}
"""


def resolved(folder: Path, text: str, *overrides: str) -> Resolved:
    """A file's experiment, which must be right."""
    (folder / "x.yaml").write_text(text, encoding="utf-8")
    composition = compose(folder / "x.yaml", overrides, {})
    problems: list[Problem] = list(composition.problems)
    found = resolve(composition.variants[0].root, problems, sample_member)
    assert problems == []
    return found


def test_the_top_level_is_typed(tmp_path: Path) -> None:
    """The experiment's own fields are validated, its platform by the platform's spec."""
    experiment = resolved(tmp_path, GOOD).experiment

    assert experiment is not None
    assert (experiment.name, experiment.seed, experiment.budget.usd) == ("good-1.0", 7, 25.0)
    assert experiment.platform == Bedrock(kind="bedrock", bucket="data")
    assert experiment.tags == {"team": "music"}


def test_wiring_is_kept_apart_from_specs(tmp_path: Path) -> None:
    """`uses`, `from` and `needs` are in the entry and no longer in the step's own node."""
    entries = {entry.id: entry for entry in resolved(tmp_path, GOOD).entries}

    assert list(entries) == ["generate", "again", "format", "train", "deploy"]
    assert (entries["again"].kind, entries["deploy"].kind) == ("generate", "deploy")
    assert entries["format"].inputs == {"": "generate"}
    assert entries["train"].inputs == {"data": "format"}
    assert entries["train"].needs == ("again",)
    assert plain(entries["train"].node) == {"base_model": "tiny-llama"}
    assert plain(entries["deploy"].node) == {"kind": "on_demand"}
    assert (entries["again"].origin.line, entries["again"].kind_origin.column) == (11, 17)


def test_steps_take_top_level_values_that_they_do_not_state(tmp_path: Path) -> None:
    """An inherited field is the step's own when stated, else the experiment's with its own place."""
    steps = {step.entry.id: step for step in resolved(tmp_path, GOOD).steps}

    own, taken, train = steps["generate"].spec, steps["again"].spec, steps["train"].spec
    assert isinstance(own, Generate)
    assert isinstance(taken, Generate)
    assert isinstance(train, Train)
    assert (own.seed, taken.seed) == (3, 7)
    assert train.platform == Bedrock(kind="bedrock", bucket="data")
    assert origins(steps["train"].node, "", tmp_path)["platform.bucket"] == "x.yaml:7"


def test_an_empty_step_has_an_empty_spec(tmp_path: Path) -> None:
    """A step with nothing behind its id is a step with defaults."""
    found = resolved(tmp_path, "name: a\nsteps:\n  format:\n")

    assert [step.entry.kind for step in found.steps] == ["format"]


def test_a_variant_s_name_is_a_name(tmp_path: Path) -> None:
    """The resolved spec of a variant can be run again: its full name is accepted."""
    found = resolved(tmp_path, "name: a@epochs=2,learning_rate=5e-5\nsteps: {format: }\n")

    assert found.experiment is not None
    assert found.experiment.name == "a@epochs=2,learning_rate=5e-5"


def test_a_problem_in_an_inherited_value_is_told_once(tmp_path: Path) -> None:
    """However many steps take the platform, its problem is one, told at the top level."""
    text = GOOD.replace("bucket: data", "bucket: x").replace(
        "deploy: {", "more: {uses: train, base_model: x}\n  deploy: {"
    )
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    problems: list[Problem] = []

    resolve(compose(tmp_path / "x.yaml", [], {}).variants[0].root, problems, sample_member)

    assert len(problems) == 3
    assert {problem.where for problem in problems} == {"platform.bucket"}
    assert len(set(problems)) == 1
