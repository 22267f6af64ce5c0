"""No option of a training is accepted and then dropped: it is in what is sent, or the file is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from polytune.base_models.interface import BASE_MODELS
from polytune.errors import Problem
from polytune.spec.reading import read_yaml
from polytune.spec.validate import validated
from polytune.step_factory import member_spec
from polytune.steps import reinforce, train
from polytune.steps._customizing import base_model_of, in_force, stated

folder = "./model"
tried = (1, 2, 0.0001, "auto", 50, 0.5, "full", "lora", 512, "low")
"""Of these, each option is given every value that its field takes."""


def spec_of(step: str, fields: dict[str, Any], place: Path) -> tuple[Any, list[Problem]]:
    """The spec of a step, and what is wrong with it."""
    path = place / "step.yaml"
    path.write_text(yaml.safe_dump(fields))
    problems: list[Problem] = []
    found = validated(member_spec("steps", step), read_yaml(path), "step", problems, member_spec)
    return found, problems


@pytest.mark.parametrize("platform", ["local", "bedrock"])
@pytest.mark.parametrize("name", [*BASE_MODELS.names(), folder])
def test_a_training_option_is_sent_or_refused(name: str, platform: str, tmp_path: Path) -> None:
    """For each base model, each option and each value."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "llama", "max_position_embeddings": 512}')
    given = {"base_model": name, "platform": {"kind": platform}}
    if spec_of("train", given, tmp_path)[1]:
        return  # The base model is not trained there.
    for word in (*train.words, "method", "lora_rank"):
        for value in tried:
            spec, problems = spec_of("train", {**given, word: value}, tmp_path)
            if problems:
                continue
            assert getattr(spec, word) == value
            entry = base_model_of(name, {"base_model": tmp_path / "model"} if name == folder else {})
            if word in train.words:
                sent = in_force(entry, entry.hyperparameters or {}, stated(spec, train.words), None)
                assert word in sent, (name, word, value)
                assert sent[word] == value or value == "auto"
            else:
                (offering,) = [each for each in entry.platforms.values() if each.methods]
                assert (spec.method or offering.methods[0]) in offering.methods
                assert word == "method" or (spec.method or offering.methods[0]) == "lora"


@pytest.mark.parametrize("name", BASE_MODELS.names())
def test_a_reinforcement_option_is_sent_or_refused(name: str, tmp_path: Path) -> None:
    """For each base model, each option and each value."""
    given = {
        "base_model": name,
        "platform": {"kind": "bedrock"},
        "reward": {"function_arn": "arn:aws:lambda:us-east-1:123456789012:function:reward"},
    }
    if spec_of("reinforce", given, tmp_path)[1]:
        return
    entry = base_model_of(name, {})
    for word in reinforce.words:
        for value in tried:
            spec, problems = spec_of("reinforce", {**given, word: value}, tmp_path)
            if not problems:
                sent = in_force(entry, entry.reinforcement or {}, stated(spec, reinforce.words), None)
                assert word in sent, (name, word, value)


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"base_model": folder, "early_stopping_patience": 2}, "early_stopping_patience", "has none"),
        ({"base_model": folder, "early_stopping_threshold": 0.1}, "early_stopping_threshold", "has none"),
        ({"base_model": folder, "steps": 10}, "steps", "has none"),
        ({"base_model": folder, "epochs": "auto"}, "epochs", "no rule is published"),
        ({"base_model": "tiny-llama", "method": "lora"}, "method", "can only be trained with full"),
        ({"base_model": "tiny-llama", "lora_rank": 4}, "lora_rank", "only with `method: lora`"),
        ({"base_model": "smollm2-135m", "method": "full", "lora_rank": 4}, "lora_rank", "only with"),
    ],
    ids=str,
)
def test_what_a_local_model_cannot_do_is_refused(
    fields: dict[str, Any], field: str, says: str, tmp_path: Path
) -> None:
    """By name, before anything runs."""
    problems = spec_of("train", {**fields, "platform": {"kind": "local"}}, tmp_path)[1]

    assert [each.where for each in problems] == [f"step.{field}"]
    assert says in problems[0].what
