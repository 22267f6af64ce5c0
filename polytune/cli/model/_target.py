"""Whom `model test` and `model compare` ask: any name of a model on Bedrock, or the model of a run.

nova-lite · an AWS id · an ARN · a deployment's or model's name · a run's id · an experiment's name
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import click

from polytune.base_models.interface import BASE_MODELS
from polytune.cli import _account as account
from polytune.engine.artifacts import Artifact
from polytune.engine.compiled import CompiledStep
from polytune.engine.ledger import RunRow
from polytune.engine.manifest import Manifest
from polytune.errors import UsageError
from polytune.platforms.bedrock.converse import Answer, Talk
from polytune.platforms.bedrock.models import Models
from polytune.platforms.bedrock.resources import Inventory
from polytune.platforms.interface import Inference, Invoked, Platform, Question
from polytune.wiring import Desk

F = TypeVar("F", bound=Callable[..., Any])


def inference_options(command: F) -> F:
    """Adds the options that say how answers are drawn."""
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
    """What was said with `inference_options`."""
    return Inference(max_tokens=drawn["max_tokens"], temperature=drawn["temperature"], seed=0)


class Speaker(Protocol):
    """Answers questions."""

    def ask(self, question: Question) -> Answer:
        """The whole answer."""

    def stream(self, question: Question) -> Iterator[str | Answer]:
        """The answer in pieces, then its figures."""


@dataclass(frozen=True)
class Asked:
    """A model that can be asked, and how it wants to be."""

    name: str
    speaker: Speaker
    system: str = ""
    """The system prompt it was trained with, where a run tells."""


@dataclass(frozen=True)
class RunModel:
    """What a run made."""

    row: RunRow
    manifest: Manifest
    artifact: Artifact
    platform: Platform


@dataclass
class LocalSpeaker:
    """A model of this machine, which answers whole."""

    model: RunModel
    inference: Inference

    def ask(self, question: Question) -> Answer:
        """The whole answer. Raises StepFailed."""
        return asyncio.run(self._asked(question))

    def stream(self, question: Question) -> Iterator[str | Answer]:
        """The whole answer as one piece."""
        answer = self.ask(question)
        yield answer.text
        yield answer

    async def _asked(self, question: Question) -> Answer:
        invoker = self.model.platform.invoker(Invoked(self.model.artifact, base=False), self.inference)
        async with invoker:
            began = time.monotonic()
            reply = (await invoker.ask([question]))[0]
            seconds = round(time.monotonic() - began, 4)
        return Answer(
            text=reply.text,
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
            seconds=seconds,
            usd=reply.price_usd,
        )


@dataclass(frozen=True)
class Asking:
    """How models are looked up and asked."""

    desk: Desk
    region: str | None
    inference: Inference

    def model(self, name: str) -> Asked:
        """The model of that name. Raises UsageError when there is none, or when it cannot be asked yet."""
        found = None if _is_aws(name) else run_model(self.desk, name)
        if found is None:
            return Asked(name, self._talk(name))
        facts = found.artifact.facts
        system = str(facts.get("system") or "")
        if found.platform.name != "bedrock":
            return Asked(name, LocalSpeaker(found, self.inference), system)
        uri = found.platform.address(found.artifact)
        return Asked(name, self._talk(uri), system)

    def _talk(self, name: str) -> Talk:
        settings = self.desk.settings
        access = account.access_to(settings, account.region_of(settings, self.region, name))
        answering = Models(Inventory(access), settings).answering(name)
        return Talk(access, answering.target, self.inference)


def _is_aws(name: str) -> bool:
    return name.startswith("arn:") or name in BASE_MODELS.names() or "." in name


def run_model(desk: Desk, name: str) -> RunModel | None:
    """What the run of that id, or the latest of that experiment, made; None when no run has the name.

    Raises UsageError when the run has made no model yet.
    """
    rows = desk.ledger.runs()
    known = [row for row in rows if name in (row.run_id, row.experiment)]
    known = known or [row for row in rows if len(name) > 3 and row.run_id.startswith(name)]
    if not known:
        return None
    row = known[0]
    manifest, compiled = desk.manifest(row), desk.recorded(row)
    for step in reversed(compiled.steps):
        artifact = _made(manifest, step)
        if artifact is not None:
            made: Any = desk.step_factory(compiled).step(step)
            return RunModel(row, manifest, artifact, made.platform)
    raise UsageError(
        f"run {row.run_id} of {row.experiment} has made no model: `polytune status {row.run_id}`"
    )


def _made(manifest: Manifest, step: CompiledStep) -> Artifact | None:
    report = manifest.steps.get(step.id)
    if step.produces not in ("Deployment", "CustomModel") or report is None:
        return None
    return report.output if report.status.complete else None
