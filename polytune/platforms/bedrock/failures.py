"""How failures of jobs are explained, and how failures of calls end a step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from polytune.aws.failures import AwsFailure, NeedsCredentials
from polytune.aws.remedies import job_fix
from polytune.errors import Paused, StepFailed


def explained(message: str) -> str:
    """A job's failure message with the likely fix."""
    if fix := job_fix(message):
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
