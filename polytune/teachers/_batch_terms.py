"""What batch jobs are submitted with."""

from __future__ import annotations

from typing import Any

import msgspec

from polytune.engine.artifacts import Facts


class BatchTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch job is submitted with, as in force wherever it was stated."""

    model_id: str
    region: str
    assume_role_arn: str
    bucket: str
    output_bucket: str
    prefix: str
    role_arn: str
    kms_key_arn: str
    timeout_hours: int
    subnet_ids: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()


def members_of(terms: BatchTerms, uri: str, output: str) -> Facts:
    """CreateModelInvocationJob, but for the name and what follows from it."""
    written: dict[str, Any] = {"s3Uri": output}
    if terms.kms_key_arn:
        written["s3EncryptionKeyId"] = terms.kms_key_arn
    members: dict[str, Any] = {
        "modelId": terms.model_id,
        "roleArn": terms.role_arn,
        "modelInvocationType": "Converse",
        "inputDataConfig": {"s3InputDataConfig": {"s3Uri": uri, "s3InputFormat": "JSONL"}},
        "outputDataConfig": {"s3OutputDataConfig": written},
        "timeoutDurationInHours": terms.timeout_hours,
    }
    if terms.subnet_ids:
        members["vpcConfig"] = {
            "subnetIds": list(terms.subnet_ids),
            "securityGroupIds": list(terms.security_group_ids),
        }
    return members
