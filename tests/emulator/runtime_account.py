"""An emulated account with a folder for an S3, real boto3 clients, and ready-made models."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from polytune.emulator.bedrock.batch import BatchArea
from polytune.emulator.bedrock.catalogue import find_foundation
from polytune.emulator.bedrock.clock import VirtualClock
from polytune.emulator.bedrock.customization import CustomizationArea
from polytune.emulator.bedrock.deployments import Deployments
from polytune.emulator.bedrock.faults import BedrockFault
from polytune.emulator.bedrock.program import Emulator
from polytune.emulator.bedrock.resources import CustomModel, Deployment, ImportedModel, ProvisionedThroughput
from polytune.emulator.bedrock.runtime import Runtime
from polytune.emulator.bedrock.state import new_id
from polytune.emulator.bedrock.world import World
from polytune.errors import DataError

region = "us-east-1"
base_id = "amazon.nova-lite-v1:0:300k"
nova_lite = "amazon.nova-lite-v1:0"
ready_after = timedelta(minutes=8)


@dataclass(frozen=True)
class FolderStore:
    """S3 as files: `s3://bucket/a/b` is `<folder>/bucket/a/b`."""

    folder: Path

    def read(self, uri: str) -> bytes:
        try:
            return self._path(uri).read_bytes()
        except OSError as error:
            raise DataError(f"{uri}: {error.strerror}") from error

    def write(self, uri: str, content: bytes) -> None:
        path = self._path(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def exists(self, uri: str) -> bool:
        return self._path(uri).is_file()

    def list(self, prefix: str) -> list[str]:
        names = (path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        return sorted(uri for uri in (f"s3://{name.as_posix()}" for name in names) if uri.startswith(prefix))

    def bucket_region(self, name: str) -> str | None:
        return region if (self.folder / name).is_dir() else None

    def _path(self, uri: str) -> Path:
        return self.folder / uri.removeprefix("s3://")


@dataclass(frozen=True)
class Account:
    """The account and clients of it."""

    world: World
    address: str
    store: FolderStore
    bedrock: Any
    runtime: Any

    def advance(self, seconds: float) -> None:
        """Virtual time has passed, and what was due has happened."""
        body = json.dumps({"seconds": seconds}).encode()
        with urllib.request.urlopen(f"{self.address}/_control/advance", body) as answered:
            answered.read()

    def fail(self, *faults: BedrockFault) -> None:
        """These faults are scripted."""
        self.world.faults.add(faults)

    def custom_model(self, training: str, kind: str = "FINE_TUNING") -> str:
        """The ARN of a model that was trained on the rows at an S3 URI."""
        arn = self.world.arn(region, f"custom-model/{base_id}/{new_id()}")
        model = CustomModel(
            arn=arn,
            name=f"model-{arn[-4:]}",
            region=region,
            created=self.world.clock.now(),
            base=find_foundation(base_id, region),
            base_arn=f"arn:aws:bedrock:{region}::foundation-model/{base_id}",
            customization_type=kind,
            details={"trainingDataConfig": {"s3Uri": training}},
        )
        self.world.state.add(arn, model)
        return arn

    def deployment(self, model_arn: str) -> str:
        """The ARN of a deployment that has just been asked for."""
        arn = self.world.arn(region, f"custom-model-deployment/{new_id()}")
        now = self.world.clock.now()
        made = Deployment(arn, f"deployment-{arn[-4:]}", region, now, model_arn, ready_after)
        self.world.state.add(arn, made)
        return arn

    def throughput(self, model_arn: str) -> str:
        """The ARN of provisioned throughput that has just been bought."""
        arn = self.world.arn(region, f"provisioned-model/{new_id()}")
        now = self.world.clock.now()
        foundation = f"arn:aws:bedrock:{region}::foundation-model/{base_id}"
        bought = ProvisionedThroughput(
            arn, f"units-{arn[-4:]}", region, now, model_arn, foundation, 1, ready_after
        )
        self.world.state.add(arn, bought)
        return arn

    def imported(self) -> str:
        """The ARN of an imported model."""
        arn = self.world.arn(region, f"imported-model/{new_id()}")
        now = self.world.clock.now()
        job = self.world.arn(region, f"model-import-job/{new_id()}")
        self.world.state.add(
            arn, ImportedModel(arn, "imported", region, now, "llama3", True, job, "import", {})
        )
        return arn


@contextmanager
def account(folder: Path, limits: dict[str, int] | None = None) -> Iterator[Account]:
    """An account whose clock stands still between advances; SDK retries are off."""
    (folder / "bucket").mkdir(parents=True)
    store = FolderStore(folder)
    world = World(clock=VirtualClock(speed=0), objects=store)
    emulator = Emulator(
        world, (CustomizationArea, Deployments, lambda made: Runtime(made, limits), BatchArea)
    )
    with emulator.serving():
        clients = [client(service, emulator.address) for service in ("bedrock", "bedrock-runtime")]
        try:
            yield Account(world, emulator.address, store, *clients)
        finally:
            for each in clients:
                each.close()


def client(service: str, address: str) -> Any:
    """An unmodified boto3 client of the emulator."""
    return boto3.client(
        service,
        endpoint_url=address,
        region_name=region,
        aws_access_key_id="rehearsal",
        aws_secret_access_key="rehearsal",
        config=Config(retries={"mode": "standard", "total_max_attempts": 1}),
    )


def conversation_rows(pairs: list[tuple[str, str]]) -> bytes:
    """Training rows of `bedrock-conversation-2024`."""
    return b"".join(
        json.dumps(
            {
                "schemaVersion": "bedrock-conversation-2024",
                "messages": [
                    {"role": "user", "content": [{"text": prompt}]},
                    {"role": "assistant", "content": [{"text": answer}]},
                ],
            }
        ).encode()
        + b"\n"
        for prompt, answer in pairs
    )


def said(answer: dict[str, Any]) -> str:
    """The text of a Converse answer."""
    return str(answer["output"]["message"]["content"][0]["text"])


def asking(text: str) -> list[dict[str, Any]]:
    """The messages of a Converse request with one question."""
    return [{"role": "user", "content": [{"text": text}]}]
