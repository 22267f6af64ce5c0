"""Amazon Bedrock: experiments for it resolve and plan here; carrying them out comes with the next release."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from polytune.engine.artifacts import Artifact, Facts
from polytune.engine.jobbook import JobRow
from polytune.engine.jobs import Driver
from polytune.errors import Unavailable
from polytune.platforms.interface import (
    Collected,
    Customization,
    Inference,
    Invoked,
    Invoker,
    Platform,
    PlatformSpec,
)
from polytune.settings import Settings

not_yet = "needs AWS: the Bedrock platform comes with the next release; platform {kind: local} trains here"


class BedrockSpec(PlatformSpec):
    """Amazon Bedrock and S3."""

    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")] = "us-east-1"
    """Where jobs run; the bucket must be in the same region."""
    bucket: str = ""
    """Where datasets are stored; '' means it is not chosen yet."""
    role_arn: str = ""
    """The service role that training jobs assume; '' means it is not chosen yet."""


class Bedrock(Platform):
    """Says what it needs; does nothing yet."""

    Spec = BedrockSpec
    name = "bedrock"
    deploys = True

    def __init__(self, spec: BedrockSpec, root: Path, settings: Settings) -> None:
        super().__init__(spec, root, settings)
        self.spec = spec

    def missing(self) -> str:
        """Why nothing runs on Bedrock yet."""
        return not_yet

    async def store(self, project: str, files: Mapping[str, Path]) -> dict[str, str]:
        """Raises Unavailable."""
        raise Unavailable(not_yet)

    def customization(self, ask: Customization, uris: Mapping[str, str]) -> tuple[Driver, Facts]:
        """Raises Unavailable."""
        raise Unavailable(not_yet)

    def collect(self, job: JobRow, folder: Path) -> Collected:
        """Raises Unavailable."""
        raise Unavailable(not_yet)

    def address(self, model: Artifact) -> str:
        """Raises Unavailable."""
        raise Unavailable(not_yet)

    def invoker(self, model: Invoked, inference: Inference) -> Invoker:
        """Raises Unavailable."""
        raise Unavailable(not_yet)
