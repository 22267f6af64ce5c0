"""What a local model cannot do is refused when the file is read. `test_options_sent` tries every option."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from polytune.errors import Problem
from polytune.spec.reading import read_yaml
from polytune.spec.validate import validated
from polytune.step_factory import member_spec

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


def model_folder(place: Path) -> Path:
    """A folder that says enough of a model to know its rules."""
    (place / "model").mkdir(exist_ok=True)
    (place / "model" / "config.json").write_text('{"model_type": "llama", "max_position_embeddings": 512}')
    return place / "model"


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
