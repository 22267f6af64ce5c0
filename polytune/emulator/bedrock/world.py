"""What every area works with: the account, its time, its faults, its state and the services beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from polytune.emulator.bedrock.clock import VirtualClock
from polytune.emulator.bedrock.faults import Faults
from polytune.emulator.bedrock.state import AccountState

rehearsal_account = "123456789012"
default_region = "us-east-1"


class ObjectStore(Protocol):
    """The S3 beside the emulator; URIs are `s3://bucket/key`. A method that fails raises PolytuneError."""

    def read(self, uri: str) -> bytes:
        """The object's content."""

    def write(self, uri: str, content: bytes) -> None:
        """The object has this content."""

    def exists(self, uri: str) -> bool:
        """Whether there is such an object."""

    def list(self, prefix: str) -> list[str]:
        """The URIs of all objects below a prefix, sorted."""

    def bucket_region(self, name: str) -> str | None:
        """The region of a bucket; None when it does not exist."""


@dataclass(frozen=True)
class World:
    """One emulated account."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    account: str = rehearsal_account
    objects: ObjectStore | None = None
    """None: nothing is read or written, and every dataset counts as valid."""
    role_exists: Callable[[str], bool] | None = None
    """Whether a role's ARN exists in the IAM beside the emulator; None where there is no IAM to ask."""
    faults: Faults = field(default_factory=Faults)
    state: AccountState = field(default_factory=AccountState)

    def arn(self, region: str, resource: str) -> str:
        """The ARN of one of the account's resources: `custom-model/imported/abc`."""
        return f"arn:aws:bedrock:{region}:{self.account}:{resource}"


def foundation_arn(region: str, model_id: str) -> str:
    """The ARN of a foundation model, which belongs to no account."""
    return f"arn:aws:bedrock:{region}::foundation-model/{model_id}"
