"""What every area shares: the account, its clock, faults and state, and the S3 and IAM next to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from polytune.emulator.bedrock.clock import VirtualClock
from polytune.emulator.bedrock.faults import Faults
from polytune.emulator.bedrock.state import AccountState

# moto's default account, so that S3, IAM and Bedrock agree. AWS's documentation uses it in examples.
rehearsal_account = "123456789012"
default_region = "us-east-1"


class ObjectStore(Protocol):
    """The S3 that the emulator uses. URIs are `s3://bucket/key`. Methods raise PolytuneError on failure."""

    def read(self, uri: str) -> bytes:
        """The object's content."""

    def write(self, uri: str, content: bytes) -> None:
        """The object exists with this content."""

    def exists(self, uri: str) -> bool:
        """Whether the object exists."""

    def list(self, prefix: str) -> list[str]:
        """The URIs of all objects under a prefix, sorted."""

    def bucket_region(self, name: str) -> str | None:
        """The region of a bucket; None when it does not exist."""


@dataclass(frozen=True)
class World:
    """One emulated account."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    account: str = rehearsal_account
    objects: ObjectStore | None = None
    """The S3 to use. With None, nothing is read or written, and every dataset counts as valid."""
    role_exists: Callable[[str], bool] | None = None
    """Whether a role with this ARN exists in IAM. With None there is no IAM and every role is accepted."""
    faults: Faults = field(default_factory=Faults)
    state: AccountState = field(default_factory=AccountState)

    def arn(self, region: str, resource: str) -> str:
        """The ARN of one of the account's resources: `custom-model/imported/abc`."""
        return f"arn:aws:bedrock:{region}:{self.account}:{resource}"


def foundation_arn(region: str, model_id: str) -> str:
    """The ARN of a foundation model; it has no account id."""
    return f"arn:aws:bedrock:{region}::foundation-model/{model_id}"
