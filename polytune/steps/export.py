"""export: writes an application's configuration for the finished model, in the application's language."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator

from polytune.base_models.interface import BASE_MODELS, BaseModelEntry, name_of
from polytune.engine.artifacts import Artifact
from polytune.engine.step import KeyFacts, Outcome, Port, Scope, Work
from polytune.errors import Obstacle, PolytuneError
from polytune.exporters.interface import EXPORTERS, Exporter, ModelConfig, catalogued, option_problems
from polytune.files import write_whole
from polytune.spec.model import CatalogueName, FieldProblem, JsonObject
from polytune.steps._platform import PlatformStep, PlatformStepSpec


class ExportSpec(PlatformStepSpec):
    """Writes the configuration with which an application uses the model."""

    to: Annotated[str, CatalogueName("exporters"), AfterValidator(EXPORTERS.checked)] = "json"
    """Kind of configuration."""
    options: dict[str, str] = {}
    """Options of that kind, such as `{shape: model_definition}` for polychat_ts."""
    path: str | None = None
    """Path of the file, relative to the workspace; default `exports/<experiment><extension>`."""

    def problems(self) -> list[FieldProblem]:
        """Report unknown options, and a path outside the workspace."""
        found = option_problems(self.to, self.options)
        path = Path(self.path or "exports")
        # An experiment file may come from elsewhere; it must not write outside the workspace.
        if path.is_absolute() or ".." in path.parts or (self.path is not None and not self.path.strip()):
            found.append(FieldProblem("path", "must be a path inside the workspace"))
        return found

    @classmethod
    def schema_rules(cls) -> list[JsonObject]:
        """Return each exporter's own options, for editors."""
        return [_schema_rule(name) for name in EXPORTERS.names()]


class Export(PlatformStep):
    """A model configuration: one file, in the run and at its path in the workspace."""

    version = 1
    Spec = ExportSpec
    spec: ExportSpec
    consumes: ClassVar = {"model": Port(("Deployment", "CustomModel"))}
    produces = "ModelConfig"

    def __init__(self, spec: ExportSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.exporter: Exporter = EXPORTERS.load(spec.to)(spec.options)

    def key_facts(self) -> KeyFacts:
        """Return the names of experiment and project: the file contains them, so the key must too."""
        return KeyFacts({"name": self.scope.experiment, "project": self.scope.project})

    def unready(self) -> Obstacle | None:
        """Return nothing: the configuration is written from what the model's own step recorded."""
        return None

    def exists(self, uri: str) -> bool:
        """Return True: whether the model still exists is up to the step that made it."""
        return True

    async def run(self, work: Work) -> Outcome:
        """Render the configuration."""
        model = work.inputs["model"]
        text = self.exporter.render(self._config(model))
        name = f"{self.scope.experiment}{self.exporter.extension}"
        write_whole(work.folder / name, text.encode())
        place = self.spec.path or f"exports/{name}"
        return Outcome(files=(name,), placed={name: place}, resources={"model": self.platform.address(model)})

    def _config(self, model: Artifact) -> ModelConfig:
        facts = model.facts
        config = ModelConfig(
            name=self.scope.experiment,
            experiment=self.scope.experiment,
            project=self.scope.project,
            uri=self.platform.address(model),
            platform=self.spec.platform.kind,
            region=facts.get("region"),
            deployment_kind=facts.get("deployment"),
            base_model=facts.get("base_model", ""),
            layout=facts.get("layout", ""),
            system=facts.get("system", ""),
            parameters=facts.get("parameters"),
            digest=model.digest,
        )
        entry = _entry(config.base_model)
        return catalogued(config, entry) if entry else config


def _entry(base_model: str) -> BaseModelEntry | None:
    """Return the catalogue's entry; None for a folder and for a model of unknown origin."""
    try:
        return BASE_MODELS.get(name_of(base_model))
    except PolytuneError:
        return None


def _schema_rule(exporter: str) -> JsonObject:
    options = {
        name: {"anyOf": [{"enum": list(values), "default": values[0]}, {"$ref": "#/$defs/reference"}]}
        for name, values in EXPORTERS.load(exporter).options.items()
    }
    return {
        "if": {"properties": {"to": {"const": exporter}}, "required": ["to"]},
        "then": {"properties": {"options": {"properties": options, "additionalProperties": False}}},
    }
