"""What Bedrock's failure messages mean and what to do about them; and how failures of calls end a step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from polytune.aws.failures import AwsFailure, NeedsCredentials
from polytune.errors import Paused, StepFailed

fixes = (
    (
        r"GetObject permissions",
        "The service role must be able to read the bucket: s3:GetObject and s3:ListBucket, a trust policy for"
        " bedrock.amazonaws.com, kms:Decrypt if the bucket is encrypted with a key, and the same region",
    ),
    (
        r"PutObject",
        "The service role must be able to write the output place: s3:PutObject on it, and the key's"
        " kms:GenerateDataKey if there is one",
    ),
    (
        r"Unable to parse Amazon S3 file|must conform to JSONL|must follow",
        "The rows are not in the layout that this base model takes: `polytune validate` names them",
    ),
    (
        r"token (count|length)|Input size exceeded",
        "Rows are longer than the base model takes: `polytune validate` names them; drop or shorten them",
    ),
    (
        r"third-party license terms",
        "AWS screened the data and refuses it; only AWS support can say which rows",
    ),
    (
        r"unexpected error|internal error",
        "AWS failed, nothing was trained and nothing is billed: run again, which submits a new attempt",
    ),
    (
        r"explicit deny",
        "A service control policy of the organisation forbids it; its administrator can allow it",
    ),
    (
        r"reserved|invalid tokens|keywords",
        "The data holds strings reserved by the model: `polytune data lint`",
    ),
)
"""Patterns of the messages that AWS's troubleshooting guide and recorded jobs show, and the likely fix."""


def explained(message: str) -> str:
    """A job's failure message with the likely fix."""
    for pattern, fix in fixes:
        if re.search(pattern, message, re.IGNORECASE):
            return f"{message.rstrip('. ')}. Likely fix: {fix}"
    return message or "the job failed without a message"


@contextmanager
def calling(what: str) -> Iterator[None]:
    """A call to AWS inside a step: what waiting or fresh credentials can cure pauses the run."""
    try:
        yield
    except NeedsCredentials as failure:
        raise Paused(f"{what}: {failure}") from failure
    except AwsFailure as failure:
        if failure.transient:
            raise Paused(f"{what}: {failure}") from failure
        raise StepFailed(f"{what}: {failure}") from failure
