"""export: an application's configuration for the finished model, in the application's own language."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator

from polytune.base_models.interface import BASE_MODELS
from polytune.engine.artifacts import Artifact
from polytune.engine.step import KeyFacts, Outcome, Port, Scope, Step, Work
from polytune.exporters.interface import EXPORTERS, Exporter, ModelConfig
from polytune.files import write_whole
from polytune.platforms.interface import open_platform
from polytune.spec.model import CatalogueName, FieldProblem, Inherited, Member, MemberSpec, Spec


class ExportSpec(Spec):
    """Writes how an application uses the model."""

    to: Annotated[str, CatalogueName("exporters"), AfterValidator(EXPORTERS.checked)] = "json"
    """The kind of configuration."""
    path: str | None = None
    """Where to put it, relative to the workspace; default `exports/<experiment><extension>`."""
    platform: Annotated[MemberSpec, Member("platforms"), Inherited()]
    """Where the model answers."""

    def problems(self) -> list[FieldProblem]:
        """A path that leads out of the workspace."""
        if self.path is None:
            return []
        path = Path(self.path)
        outside = path.is_absolute() or ".." in path.parts or not self.path.strip()
        return [FieldProblem("path", "must be a path inside the workspace")] if outside else []


class Export(Step):
    """A model configuration: one file, in the run and at its place in the workspace."""

    version = 1
    Spec = ExportSpec
    consumes: ClassVar = {"model": Port(("Deployment", "CustomModel"))}
    produces = "ModelConfig"

    def __init__(self, spec: ExportSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.spec = spec
        self.platform = open_platform(spec.platform, scope.root, scope.settings)
        self.exporter: Exporter = EXPORTERS.load(spec.to)()

    def key_facts(self) -> KeyFacts:
        """The experiment's name is in the file, so it is in the key."""
        return KeyFacts({"name": self.scope.experiment})

    def missing(self) -> str:
        """What the platform lacks on this machine."""
        return self.platform.missing()

    async def run(self, work: Work) -> Outcome:
        """Renders the configuration."""
        model = work.inputs["model"]
        text = self.exporter.render(self._config(model))
        name = f"{self.scope.experiment}{self.exporter.extension}"
        write_whole(work.folder / name, text.encode())
        place = self.spec.path or f"exports/{name}"
        return Outcome(files=(name,), placed={name: place}, resources={"model": self.platform.address(model)})

    def _config(self, model: Artifact) -> ModelConfig:
        base = model.facts["base_model"]
        entry = BASE_MODELS.get(base) if base in BASE_MODELS.names() else None
        prices = entry.prices if entry else None
        return ModelConfig(
            name=self.scope.experiment,
            uri=self.platform.address(model),
            platform=self.spec.platform.kind,
            base_model=base,
            layout=model.facts["layout"],
            system=model.facts["system"],
            parameters=model.facts.get("parameters"),
            context_tokens=entry.context_tokens if entry else None,
            input_usd_per_million_tokens=_per_million(
                prices.custom_input_usd_per_1k_tokens if prices else None
            ),
            output_usd_per_million_tokens=_per_million(
                prices.custom_output_usd_per_1k_tokens if prices else None
            ),
            digest=model.digest,
        )


def _per_million(per_thousand: float | None) -> float | None:
    return None if per_thousand is None else round(per_thousand * 1000, 6)
