"""The original toolkit's environment variables, as defaults for fields that an experiment leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

rehearsal_remedy = "Set it there, or try it without an account: `polytune run --rehearse`"
"""What a user without an account can do."""


@dataclass(frozen=True)
class Defaults:
    """Bedrock settings from the environment; empty where a variable is not set."""

    bucket: str = ""
    """BEDROCK_TRAINING_BUCKET: where datasets are uploaded."""
    output_bucket: str = ""
    """BEDROCK_OUTPUT_BUCKET: where jobs write their output; defaults to the training bucket."""
    role_arn: str = ""
    """BEDROCK_ROLE_ARN: the service role that jobs assume."""
    kms_key_arn: str = ""
    """BEDROCK_KMS_KEY_ARN: encrypts custom models."""
    subnet_ids: tuple[str, ...] = ()
    """BEDROCK_VPC_SUBNET_IDS, separated by commas."""
    security_group_ids: tuple[str, ...] = ()
    """BEDROCK_VPC_SECURITY_GROUP_IDS, separated by commas."""
    region: str = ""
    """AWS_REGION, else AWS_DEFAULT_REGION."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """The defaults that an environment sets; a bucket may be given as s3://bucket/."""
        bucket = _bucket(environment.get("BEDROCK_TRAINING_BUCKET", ""))
        return cls(
            bucket=bucket,
            output_bucket=_bucket(environment.get("BEDROCK_OUTPUT_BUCKET", "")) or bucket,
            role_arn=environment.get("BEDROCK_ROLE_ARN", "").strip(),
            kms_key_arn=environment.get("BEDROCK_KMS_KEY_ARN", "").strip(),
            subnet_ids=_listed(environment.get("BEDROCK_VPC_SUBNET_IDS", "")),
            security_group_ids=_listed(environment.get("BEDROCK_VPC_SECURITY_GROUP_IDS", "")),
            region=(environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "").strip(),
        )


def _bucket(text: str) -> str:
    return text.strip().removeprefix("s3://").rstrip("/")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())
