"""The models that `model test` and `model compare` ask: any model on a platform, or the model of a run.

nova-lite · a platform's id, such as an ARN · a deployment's or model's name · a run's id · an experiment
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from polytune.base_models.interface import BASE_MODELS
from polytune.cli._platforms import owners
from polytune.engine.artifacts import Artifact
from polytune.engine.compiled import CompiledStep
from polytune.engine.ledger import RunRow
from polytune.engine.manifest import Manifest
from polytune.errors import UsageError
from polytune.platforms.interface import Inference, Platform
from polytune.platforms.management import InvokerClient, Management, ModelClient, find_among
from polytune.wiring import OpenWorkspace

F = TypeVar("F", bound=Callable[..., Any])


def inference_options(command: F) -> F:
    """Add the options for the inference parameters."""
    for option in reversed(
        (
            click.option(
                "--max-tokens", type=click.IntRange(min=1), default=1000, show_default=True, metavar="N"
            ),
            click.option("--temperature", type=click.FloatRange(0, 1), default=0.0, show_default=True),
        )
    ):
        command = option(command)
    return command


def inference_of(drawn: Mapping[str, Any]) -> Inference:
    """The values of `inference_options`."""
    return Inference(max_tokens=drawn["max_tokens"], temperature=drawn["temperature"], seed=0)


@dataclass(frozen=True)
class Asked:
    """A model with its client and system prompt."""

    name: str
    client: ModelClient
    system: str = ""
    """The system prompt it was trained with, if it comes from a run."""


@dataclass(frozen=True)
class RunModel:
    """The model made by a run."""

    row: RunRow
    manifest: Manifest
    artifact: Artifact
    platform: Platform


@dataclass(frozen=True)
class Asking:
    """Looks up models and gives clients for them."""

    opened: OpenWorkspace
    platforms: Sequence[Management]
    inference: Inference

    def model(self, name: str) -> Asked:
        """The model of that name. Raises UsageError when there is none, or when it cannot answer yet."""
        found = None if self._names_no_run(name) else run_model(self.opened, name)
        if found is None:
            asked = owners(self.platforms, name)
            return Asked(name, find_among(asked, lambda each: each.client(name, self.inference))[1])
        system = str(found.artifact.facts.get("system") or "")
        return Asked(name, self._client_of(found), system)

    def _names_no_run(self, name: str) -> bool:
        """Whether the name is a platform's identifier, or a base model's name or id."""
        # Model ids contain a dot (`amazon.nova-lite-v1:0`). Deciding by form saves opening the runs.
        return any(each.owns(name) for each in self.platforms) or name in BASE_MODELS.names() or "." in name

    def _client_of(self, found: RunModel) -> ModelClient:
        """A client from the platform's management, or from its invoker if its management is not available."""
        for each in self.platforms:
            if each.name == found.platform.name:
                return each.client_of(found.platform, found.artifact, self.inference)
        return InvokerClient(found.platform, found.artifact, self.inference)


def run_model(opened: OpenWorkspace, name: str) -> RunModel | None:
    """The model made by the run of that id, or by the latest run of that experiment; None without such a run.

    Raises UsageError when the run has made no model yet, or when several run ids begin with the name.
    """
    row = opened.find_run(name)
    if row is None:
        return None
    manifest, compiled = opened.manifest(row), opened.recorded(row)
    # From the end: a deployment, which answers, comes after the custom model that it serves.
    for step in reversed(compiled.steps):
        artifact = _made(manifest, step)
        if artifact is not None:
            made: Any = opened.step_factory(compiled).step(step)
            return RunModel(row, manifest, artifact, made.platform)
    raise UsageError(
        f"run {row.run_id} of {row.experiment} has made no model: `polytune status {row.run_id}`"
    )


def _made(manifest: Manifest, step: CompiledStep) -> Artifact | None:
    report = manifest.steps.get(step.id)
    if step.produces not in ("Deployment", "CustomModel") or report is None:
        return None
    return report.output if report.status.complete else None
