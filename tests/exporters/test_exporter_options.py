"""What `export:` may say in an experiment: an exporter, its options, and a place."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from polytune.base_models.interface import BASE_MODELS
from polytune.errors import Problem
from polytune.exporters.interface import EXPORTERS
from polytune.platforms.interface import PLATFORMS
from polytune.spec.jsonschema import experiment_schema
from polytune.spec.model import JsonObject, Spec
from polytune.spec.reading import read_yaml
from polytune.spec.validate import validated
from polytune.steps.export import ExportSpec
from tests.messages import message


def member_spec(family: str, kind: str) -> type[Spec]:
    """The spec class of a platform, the only family that `export` chooses from."""
    assert family == "platforms"
    return PLATFORMS.load(kind).Spec


def said_about(folder: Path, stated: str) -> list[str]:
    """The problems of an `export` step, without the file's name."""
    path = folder / "export.yaml"
    path.write_text(stated, encoding="utf-8")
    problems: list[Problem] = []
    spec = validated(ExportSpec, read_yaml(path), "steps.export", problems, member_spec)
    assert (spec is None) == bool(problems)
    return [str(problem).removeprefix(f"{path}:") for problem in sorted(problems)]


@pytest.mark.parametrize(
    "options", ["{}", "{shape: model_config_item}", "{shape: model_definition}"], ids=lambda text: text
)
def test_right_options_are_taken(tmp_path: Path, options: str) -> None:
    """Every value that an exporter lists is taken, and so is saying nothing."""
    assert said_about(tmp_path, f"to: polychat_ts\noptions: {options}\nplatform: {{kind: local}}") == []


@pytest.mark.parametrize(
    ("to", "options", "said"),
    [
        (
            "polychat_ts",
            "{shap: model_definition}",
            "2:17: steps.export.options.shap: "
            + message("exporters/has-no-option", name="polychat_ts", option="shap", suggestion="shape"),
        ),
        (
            "polychat_ts",
            "{shape: item}",
            "2:18: steps.export.options.shape: 'item' is no shape of polychat_ts: "
            "model_config_item or model_definition",
        ),
        (
            "json",
            "{indent: '4'}",
            "2:19: steps.export.options.indent: " + message("general/json-takes-no-options"),
        ),
        (
            "polychat_ts",
            "{shape: 3}",
            "2:18: steps.export.options.shape: " + message("general/must-be-text", number=3),
        ),
        ("polychat_ts", "[shape]", "2:10: steps.export.options: " + message("exporters/must-be-mapping")),
    ],
)
def test_wrong_options_are_explained(tmp_path: Path, to: str, options: str, said: str) -> None:
    """An unknown option and an unknown value are named at their place, with what would be right."""
    stated = f"to: {to}\noptions: {options}\nplatform: {{kind: local}}"

    assert said_about(tmp_path, stated) == [said]


@pytest.mark.parametrize("path", ["/x.json", "../x.json", "''"])
def test_a_place_is_in_the_workspace(tmp_path: Path, path: str) -> None:
    """A path that leads out of the workspace is refused beside whatever else is wrong."""
    stated = f"to: json\noptions: {{a: b}}\npath: {path}\nplatform: {{kind: local}}"

    assert said_about(tmp_path, stated) == [
        "2:14: steps.export.options.a: " + message("general/json-takes-no-options"),
        "3:7: steps.export.path: " + message("exporters/must-be-path-inside-workspace"),
    ]


@pytest.fixture(scope="module")
def schema() -> JsonObject:
    """The schema of experiments whose only step kind is `export`."""
    platforms = {"local": member_spec("platforms", "local")}
    names = {"exporters": EXPORTERS.names(), "base_models": BASE_MODELS.names()}
    return experiment_schema({"export": ExportSpec}, {"platforms": platforms}, names)


@pytest.mark.parametrize(
    ("export", "fits"),
    [
        ("{to: polychat_ts, options: {shape: model_definition}}", True),
        ("{to: polychat_ts, options: {shape: '${env:SHAPE}'}}", True),
        ("{to: polychat_ts, options: {shape: item}}", False),
        ("{to: polychat_ts, options: {shap: model_definition}}", False),
        ("{to: litellm, options: {shape: model_definition}}", False),
        ("{to: litellm, options: {}}", True),
        ("{}", True),
    ],
)
def test_editors_know_the_options(schema: JsonObject, export: str, fits: bool) -> None:
    """The JSON Schema takes the options of the exporter that is named, and no others."""
    document = yaml.safe_load(f"name: x\nsteps: {{export: {export}}}")

    assert jsonschema.Draft202012Validator(schema).is_valid(document) == fits
