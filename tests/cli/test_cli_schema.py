"""`polytune schema`: what editors and programs are given, and that the committed files are it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from polytune.base_models.interface import BASE_MODELS
from polytune.cli.schema import experiment_text, manifest_text
from tests.cli.cli_program import Polytune
from tests.messages import message

repository = Path(__file__).parents[2]
shipped = sorted((repository / "experiments").glob("*.yaml"))


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The schema of experiment files as this checkout prints it."""
    found: dict[str, Any] = json.loads(experiment_text())
    return found


def errors(schema: dict[str, Any], text: str) -> list[str]:
    """The messages about a file, with what `anyOf` hides brought up."""
    waiting = list(jsonschema.Draft202012Validator(schema).iter_errors(yaml.safe_load(text)))
    found = []
    while waiting:
        error = waiting.pop()
        found.append(error.message)
        waiting += error.context or ()
    return found


@pytest.mark.parametrize(
    ("path", "command", "text"),
    [
        ("experiments/experiment.schema.json", "polytune schema", experiment_text),
        ("docs/manifest.schema.json", "polytune schema --manifest", manifest_text),
    ],
)
def test_the_committed_schema_is_the_program_s(path: str, command: str, text: Any) -> None:
    """The file in the repository is what the command prints."""
    assert (repository / path).read_text("utf-8") == text(), f"make it anew: {command} > {path}"


def test_the_command_prints_it(polytune: Polytune, tmp_path: Path) -> None:
    """Two processes print the same bytes as this one, so the order of things is no accident."""
    done = polytune(tmp_path, "schema", env={"PYTHONHASHSEED": "1"})
    again = polytune(tmp_path, "schema", env={"PYTHONHASHSEED": "2"})

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == again.stdout == experiment_text()


def test_a_schema_that_was_made_before_is_printed_again(polytune: Polytune, tmp_path: Path) -> None:
    """It is kept for this version of the program, and a damaged cache folder is no error."""
    cache = {"POLYTUNE_CACHE": str(tmp_path / "cache")}
    first = polytune(tmp_path, "schema", env=cache)
    (kept,) = (tmp_path / "cache" / "schemas").iterdir()
    kept.write_text("kept\n")

    assert polytune(tmp_path, "schema", env=cache).stdout == "kept\n"
    (tmp_path / "file").write_text("")
    assert polytune(tmp_path, "schema", env={"POLYTUNE_CACHE": str(tmp_path / "file")}).stdout == first.stdout


@pytest.mark.parametrize("path", shipped, ids=lambda path: path.stem)
def test_shipped_experiments_fit(schema: dict[str, Any], path: Path) -> None:
    """Every experiment in the repository fits, and names the schema for the editor on its first line."""
    text = path.read_text("utf-8")

    assert errors(schema, text) == []
    assert text.startswith("# yaml-language-server: $schema=experiment.schema.json\n")


def test_a_run_s_manifest_fits(finished: Path) -> None:
    """The manifest of a real run fits the published schema."""
    schema = json.loads(manifest_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    (path,) = finished.glob("runs/lines/*/manifest.json")

    jsonschema.validate(json.loads(path.read_bytes()), schema, jsonschema.Draft202012Validator)

    with pytest.raises(jsonschema.ValidationError, match="'run_id' is a required property"):
        jsonschema.validate({}, schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("{base_model: nova-lite, epochs: 8}", "8 is greater than the maximum of 5"),
        ("{base_model: nova-lite, learning_rate: 0.1}", "0.1 is greater than the maximum of 0.0001"),
        ("{base_model: tiny-llama, epochs: 201}", "201 is greater than the maximum of 200"),
        ("{base_model: nova-premier}", "'nova-premier' should not be valid under {}"),
    ],
)
def test_ranges_follow_the_base_model(schema: dict[str, Any], step: str, message: str) -> None:
    """A value outside the named base model's range is marked, and so is a model that only teaches."""
    assert message in errors(schema, f"steps: {{train: {step}}}")
    assert message in errors(schema, f"steps: {{again: {{uses: train, {step[1:]}}}")


@pytest.mark.parametrize(
    "step",
    [
        "{base_model: nova-lite, epochs: 5}",
        "{base_model: nova-lite, epochs: '${env:EPOCHS}'}",
        "{base_model: tiny-llama, epochs: 100}",
        "{base_model: ./mine, epochs: 100}",
        "{epochs: 8}",
    ],
)
def test_what_may_be_right_is_not_marked(schema: dict[str, Any], step: str) -> None:
    """Values in range, references, folders, and files that leave the base model to their parent fit."""
    assert errors(schema, f"steps: {{train: {step}}}") == []


def test_an_editor_can_complete(schema: dict[str, Any]) -> None:
    """Step kinds, base models, member kinds, and each base model's defaults are in the schema."""
    train = schema["$defs"]["steps.train"]
    rules = {rule["if"]["properties"]["base_model"]["const"]: rule["then"] for rule in train["allOf"]}

    assert {"generate", "format", "train", "export"} <= schema["properties"]["steps"]["properties"].keys()
    assert json.dumps(BASE_MODELS.names()) in json.dumps(train["properties"]["base_model"])
    assert rules.keys() == set(BASE_MODELS.names())
    assert rules["tiny-llama"]["properties"]["epochs"]["default"] == 12
    assert rules["nova-lite"]["properties"]["epochs"]["description"] == (
        message("cli/or-auto", number=5, number2=2)
    )
