"""The JSON Schema of experiment files, for editors."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml

from polytune.spec.jsonschema import experiment_schema, schema_text
from polytune.spec.model import JsonObject
from tests.messages import message
from tests.spec.spec_samples import MEMBERS, NAMES, STEPS

GOOD = """
name: good
seed: ${env:SEED}
extends: base.yaml
platform: {kind: bedrock, bucket: "${env:BUCKET}", region: us-west-2}
matrix: {steps.train.epochs: [1, 2]}
steps:
  generate:
    prompts: p.yaml
    teacher: {kind: polychat, api_key: "${secret:KEY}"}
    graders: [{kind: regex, pattern: x}]
    needs: [format]
  format:
  again: {uses: train, base_model: nova-lite, epochs: "${spec:seed}", warmup: auto}
  train: {base_model: "${env:BASE}", from: {data: format}, learning_rate: 1}
  deploy: {kind: on_demand}
"""


@pytest.fixture(scope="module")
def schema() -> JsonObject:
    """The schema for the sample steps and members."""
    return experiment_schema(STEPS, MEMBERS, NAMES)


def errors(schema: JsonObject, text: str) -> list[str]:
    """Where a document does not fit the schema, as dotted paths."""
    found = jsonschema.Draft202012Validator(schema).iter_errors(yaml.safe_load(text))
    return sorted({".".join(map(str, error.absolute_path)) for error in found})


def test_the_schema_is_one(schema: JsonObject) -> None:
    """It is a valid schema of draft 2020-12, and every reference in it leads somewhere."""
    jsonschema.Draft202012Validator.check_schema(schema)
    names = {name.removeprefix("#/$defs/") for name in _references(schema)}

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert names == set(schema["$defs"])


def _references(part: object) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if "$ref" in part else []
        return own + [each for value in part.values() for each in _references(value)]
    return [each for item in part for each in _references(item)] if isinstance(part, list) else []


def test_good_files_fit(schema: JsonObject) -> None:
    """A file with references, wiring, members and keys left to its parent fits."""
    assert errors(schema, GOOD) == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("step: {}", ""),
        ("seed: -1", "seed"),
        ("seed: many", "seed"),
        ("steps: {train: {epochs: 8}}", "steps.train"),
        ("steps: {train: {epoch: 2}}", "steps.train"),
        ("steps: {train: {base_model: nova-lit}}", "steps.train"),
        ("steps: {second: {uses: train, epochs: 8}}", "steps.second.epochs"),
        ("steps: {second: {uses: trane}}", "steps.second.uses"),
        ("steps: {Train: {}}", "steps"),
        ("steps: {train: {from: 5}}", "steps.train"),
        ("steps: {deploy: {kind: sometimes}}", "steps.deploy"),
        ("platform: {kind: bedrock, regin: x}", "platform"),
        ("platform: {kind: cloud}", "platform"),
        ("steps: {second: {uses: generate, graders: [{kind: regexp}]}}", "steps.second.graders.0.kind"),
        ("steps: {a: {uses: generate, teacher: {kind: composer, top: 3}}}", "steps.a.teacher"),
    ],
)  # fmt: skip
def test_mistakes_are_found(schema: JsonObject, text: str, where: str) -> None:
    """A wrong key, kind, name, range or type is marked at its place."""
    assert where in errors(schema, text)


def test_docstrings_are_descriptions(schema: JsonObject) -> None:
    """Every field of every definition carries its docstring, on one line and without generated titles."""
    train = schema["$defs"]["steps.train"]

    assert train["properties"]["epochs"]["description"] == "How often each record is seen."
    assert schema["properties"]["budget"]["description"] == message(
        "spec/limits-on-what-experiment-may-spend"
    )
    assert "\n" not in schema["properties"]["extends"]["description"]
    undescribed = [
        f"{name}.{key}"
        for name, definition in schema["$defs"].items()
        for key, field in definition.get("properties", {}).items()
        if not field.get("description") and key not in ("kind", "uses")
    ]
    assert undescribed == []
    assert '"title": "Epochs"' not in schema_text(schema)


def test_an_editor_can_complete_names(schema: JsonObject) -> None:
    """Step kinds, member kinds and base models are listed where they are written."""
    text = json.dumps(schema["$defs"]["steps.train"]["properties"]["base_model"])
    teachers = schema["$defs"]["teachers"]["properties"]["kind"]["anyOf"]

    assert '["nova-lite", "tiny-llama"]' in text
    assert [each.get("const") for each in teachers[:2]] == ["composer", "polychat"]
    assert teachers[0]["description"] == "Composes answers."
    assert list(schema["properties"]["steps"]["properties"]) == sorted(STEPS)


def test_the_text_is_the_same_every_time(schema: JsonObject) -> None:
    """The same specs in another order give the same bytes."""
    backwards = experiment_schema(
        dict(reversed(STEPS.items())),
        dict(reversed(MEMBERS.items())),
        {"base_models": NAMES["base_models"][::-1]},
    )

    assert schema_text(backwards) == schema_text(schema)
    assert schema_text(schema).endswith("}\n")
