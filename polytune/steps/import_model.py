"""import_model: imports a Hugging Face model from this machine into the platform that serves it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec

from polytune.data import importable
from polytune.engine.answers import AnswerMemory
from polytune.engine.artifacts import Artifact
from polytune.engine.step import Estimate, KeyFacts, Outcome, Port, Requirement, Work
from polytune.errors import DataError, Obstacle, PolytuneError, StepFailed
from polytune.platforms.interface import Importing, ImportRequirement
from polytune.spec.model import FieldProblem, Inherited, InputFolder
from polytune.steps._platform import PlatformStep, PlatformStepSpec

taken = (".safetensors", ".json", ".model", ".jinja", ".txt")
"""Extensions of the files of a model folder that are uploaded."""


class ImportModelSpec(PlatformStepSpec):
    """Imports a model folder; without `folder`, the model that `from:` names."""

    folder: InputFolder | None = None
    """Hugging Face folder, relative to this file."""
    base_model: str | None = None
    """Catalogue name of the folder's base model, for prices and export; may be ''."""
    system: str = ""
    """System prompt that the model in the folder was trained with."""
    project: Annotated[str, Inherited()] = "default"
    """First part of every stored name."""

    def problems(self) -> list[FieldProblem]:
        """Report an empty path."""
        return [FieldProblem("folder", "must be a path")] if self.folder == "" else []


nothing_to_import = Obstacle(
    "nothing to import", "Set `folder:`, or `from: {model: STEP}` for a model trained here"
)


class _Config(msgspec.Struct):
    """The part of `config.json` that determines whether a model can be imported."""

    architectures: tuple[str, ...] = ()
    max_position_embeddings: int = 0


class ImportModel(PlatformStep):
    """A custom model that answers without a deployment."""

    version = 1
    Spec = ImportModelSpec
    spec: ImportModelSpec
    offer = "import"
    consumes: ClassVar = {"model": Port(("CustomModel",), optional=True, explicit=True)}
    produces = "CustomModel"

    def missing(self) -> Obstacle | None:
        """Return what the platform is missing, or why Bedrock would reject the folder."""
        found = super().missing() or self._twice_stated()
        if found is not None or self.spec.folder is None:
            return found or (None if "model" in self.scope.connected else nothing_to_import)
        try:
            _check(self._folder_files())
        except (PolytuneError, OSError) as error:
            return Obstacle(str(error), "Choose another folder, or fix it", "folder")
        return None

    def _twice_stated(self) -> Obstacle | None:
        """Return a field that states what the model that `from:` names brings with it."""
        if "model" not in self.scope.connected:
            return None
        stated = (name for name in ("folder", "base_model", "system") if getattr(self.spec, name))
        cause = "the model that `from:` names has its own"
        return next((Obstacle(f"{name}: {cause}", f"Remove `{name}`", name) for name in stated), None)

    def key_facts(self) -> KeyFacts:
        """Return what the environment determines; the folder's content is in the key by itself."""
        return self.platform.key_facts()

    def estimate(self, inputs: Mapping[str, Artifact], answers: AnswerMemory) -> Estimate:
        """Return no price: AWS bills an imported model by the minutes it serves, and no rate has a source."""
        return Estimate(note="price unknown: an imported model is billed by model units while it answers")

    def requirements(self) -> Sequence[Requirement]:
        """Return the permission for an import job."""
        return [ImportRequirement(platform=self.platform.name, spec=self.platform.spec)]

    async def run(self, work: Work) -> Outcome:
        """Check and store the files, submit the job or find it, and wait for it."""
        files = self._folder_files() if self.spec.folder is not None else _model_files(work)
        # Checked here: Bedrock reports these mistakes only after gigabytes were uploaded and
        # the job was queued.
        await asyncio.to_thread(_check, files)
        uri = await self.platform.store_folder(self.spec.project, files)
        importing = self.platform.importing(Importing(uri=uri, label=self.label("import")))
        job = await self.finished(importing, work)
        done = await asyncio.to_thread(self.platform.imported, job)
        source = work.inputs["model"].facts if "model" in work.inputs else {}
        facts = {
            "layout": source.get("layout", "bedrock-conversation-2024"),
            "system": source.get("system", self.spec.system),
            "base_model": source.get("base_model", self.spec.base_model or ""),
            "from_scratch": bool(source.get("from_scratch")),
            "platform": self.spec.platform.kind,
        }
        return Outcome(facts={**facts, **done.facts}, resources={**done.resources, "files": uri})

    def _folder_files(self) -> dict[str, Path]:
        folder = self.files["folder"]
        return {p.name: p for p in sorted(folder.iterdir()) if p.is_file() and p.suffix in taken}


def _model_files(work: Work) -> dict[str, Path]:
    """Return the files of a model that was trained on this machine."""
    if "model" not in work.inputs:
        raise StepFailed(str(nothing_to_import))
    names = [name for name in work.inputs["model"].files if name.startswith("model/")]
    if not names:
        raise StepFailed("the model of that step has no files here; only local models can be imported")
    return {name.removeprefix("model/"): work.path("model", name) for name in names}


def _check(files: Mapping[str, Path]) -> None:
    """Raise DataError for a model that Bedrock would reject."""
    lacking = importable.missing_files(files)
    if lacking:
        raise DataError(
            f"the model folder lacks {', '.join(lacking)}, which an import needs ({importable.guide})"
        )
    try:
        config = msgspec.json.decode(files["config.json"].read_bytes(), type=_Config)
    except msgspec.DecodeError as error:
        raise DataError(f"{files['config.json']}: {error}") from error
    if not set(config.architectures) & set(importable.architectures):
        stated = ", ".join(config.architectures) or "none"
        raise DataError(
            f"architecture {stated} cannot be imported; Bedrock takes {', '.join(importable.architectures)}"
        )
    if config.max_position_embeddings >= importable.context_below:
        raise DataError(f"a context of {config.max_position_embeddings} tokens; imports take less than 128K")
    size = sum(path.stat().st_size for path in files.values())
    if size > importable.most_bytes:
        raise DataError(
            f"{size / 1e9:.0f} GB of files; an import takes {importable.most_bytes / 1e9:.0f} GB at most"
        )
