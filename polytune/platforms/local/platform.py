"""This machine as a platform: a content-addressed bucket, training and answering in child processes.

runs/.buckets/<project>/sha256-<digest>/train.jsonl     stored datasets
runs/.jobs/<token>/                                     the trainer at work (see engine/processes.py)
runs/.models/<digest>/                                  finished models, under a name that never changes
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from polytune.base_models.interface import find_base_model
from polytune.engine.artifacts import Artifact, Facts
from polytune.engine.jobbook import JobRow
from polytune.engine.processes import ProcessDriver, has_ended
from polytune.engine.workspace import Workspace
from polytune.errors import Obstacle, StepFailed
from polytune.extras import install_command
from polytune.files import copy_whole, digest_of
from polytune.platforms.interface import (
    Collected,
    Customization,
    Inference,
    Invoked,
    Invoker,
    Job,
    Platform,
    PlatformSpec,
)
from polytune.platforms.local.invoker import ChildInvoker
from polytune.settings import Settings
from polytune.training.protocol import (
    OUTPUT_NAME,
    Base,
    Completed,
    Directory,
    LoraSize,
    SmolLM2,
    TinyLlama,
    TrainRequest,
    read_result,
)

needed = ("torch", "transformers", "tokenizers", "safetensors")
kept = ("model", "base", "adapter", "training_artifacts", "validation_artifacts")
model_digits = 16
longest_row = 2048
"""Longer rows would not fit this machine's memory at the usual batch sizes."""


class LocalSpec(PlatformSpec):
    """This machine: no account, no cost."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; `auto` takes a GPU when torch finds one."""


class Local(Platform):
    """Trains and answers with Hugging Face models in child processes."""

    Spec = LocalSpec
    name = "local"
    offers = frozenset(("fine_tuning",))
    answers_free = True
    spec: LocalSpec

    def __init__(self, spec: LocalSpec, root: Path, settings: Settings) -> None:
        super().__init__(spec, root, settings)
        self.workspace = Workspace(root)

    def missing(self) -> Obstacle | None:
        """The libraries of the `local` extra that are not installed."""
        lacking = [name for name in needed if importlib.util.find_spec(name) is None]
        if not lacking:
            return None
        return Obstacle(f"needs {', '.join(lacking)}", f"Run `{install_command('local', *lacking)}`")

    def has_ended(self, token: str) -> bool:
        """Whether the trainer's process is gone and left no model."""
        return has_ended(self.workspace.jobs / token)

    async def store(self, project: str, files: Mapping[str, Path]) -> dict[str, str]:
        """Each file is in the bucket under its digest; `file:` URIs are relative to the workspace."""
        return {name: self._stored(project, name, path) for name, path in files.items()}

    def _stored(self, project: str, name: str, path: Path) -> str:
        digest = digest_of(path)
        target = self.workspace.buckets / project / f"sha256-{digest}" / f"{name}{path.suffix}"
        if not target.is_file() or digest_of(target) != digest:
            copy_whole(path, target)
        return f"file:{self.workspace.relative(target)}"

    def exists(self, uri: str) -> bool:
        """Whether the file or folder is still there."""
        return (self.root / uri.removeprefix("file:")).exists()

    def customization(self, ask: Customization, uris: Mapping[str, str]) -> Job:
        """A child process that trains. Its request names files of the workspace by relative paths."""
        paths = {name: self._from_job(self.root / uri.removeprefix("file:")) for name, uri in uris.items()}
        request = TrainRequest(
            base=self._base(ask.base_model),
            method=_method(ask),
            train_file=paths["train"],
            validation_file=paths.get("validation"),
            max_length=_longest_row(ask.base_model),
            seed=ask.seed,
            threads=self.settings.threads,
            device=self.spec.device,
            cache_folder=str(self.settings.cache_folder),
            **_hyperparameters(ask.hyperparameters),
        )
        command = [sys.executable, "-m", "polytune.training.train"]
        facts: Facts = msgspec.to_builtins(request)
        return ProcessDriver(self.workspace.jobs, command, dict(os.environ)), facts

    def _base(self, name: str) -> Base:
        if "/" in name:
            return Directory(path=self._from_job(Path(name)))
        return TinyLlama() if name == "tiny-llama" else SmolLM2()

    def _from_job(self, path: Path) -> str:
        """A path as a job states it: relative to the job's folder if it is in the workspace."""
        if not path.is_relative_to(self.root):
            return str(path)
        return os.path.relpath(path, self.workspace.jobs / "token")

    def collect(self, job: JobRow, folder: Path) -> Collected:
        """The trainer's output files are in the folder too, without copying their bytes."""
        place = self.workspace.jobs / job.token
        result = read_result(place)
        if not isinstance(result, Completed):
            raise StepFailed(f"{place}: the training left no result")
        present = tuple(name for name in kept if (place / OUTPUT_NAME / name).exists())
        for name in present:
            _linked(place / OUTPUT_NAME / name, folder / name)
        metrics: Facts = msgspec.to_builtins(result.metrics)
        facts: Facts = {"parameters": metrics["parameters"], "from_scratch": "base" in present}
        return Collected(files=present, facts=facts, metrics=metrics)

    def address(self, model: Artifact) -> str:
        """A folder named by the model's digest that holds the Hugging Face model."""
        folder = self.workspace.runs / ".models" / model.digest[:model_digits]
        for name, entry in model.files.items():
            target = folder / name.removeprefix("model/")
            if name.startswith("model/") and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                copy_whole(self.root / entry.path, target)
        return f"file:{self.workspace.relative(folder)}"

    def invoker(self, model: Invoked, inference: Inference) -> Invoker:
        """A child process that answers."""
        return ChildInvoker(self._folder(model), inference, self.spec.device, self.settings)

    def _folder(self, model: Invoked) -> str:
        """The model's folder; for a base that lies in the cache, its name in the catalogue."""
        part = "base/" if model.base else "model/"
        config = model.artifact.files.get(f"{part}config.json")
        if config is not None:
            return str((self.root / config.path).parent)
        return str(model.folder or model.artifact.facts["base_model"])


def _longest_row(name: str) -> int:
    """Tokens of the longest row that the base model's facts allow."""
    limits = find_base_model(name, Path("/")).limits
    return min(longest_row, limits.max_tokens_per_row or longest_row) if limits else longest_row


def _method(ask: Customization) -> Literal["lora", "full"]:
    usual = find_base_model(ask.base_model, Path("/")).on("local").methods[0]
    return "full" if (ask.method or usual) == "full" else "lora"


def _hyperparameters(stated: Mapping[str, int | float | str]) -> dict[str, Any]:
    values: dict[str, Any] = dict(stated)
    rank = values.pop("lora_rank", None)
    return values if rank is None else {**values, "lora": LoraSize(rank=int(rank), alpha=2 * int(rank))}


def _linked(source: Path, target: Path) -> None:
    """The same files are in both folders, as hard links."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, place)
