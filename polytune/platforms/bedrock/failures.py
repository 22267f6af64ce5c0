"""Explains failures of jobs, and turns failures of calls into the end of a step."""

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
    """Wraps a step's call to AWS: raises Paused if waiting or new credentials can help, else StepFailed."""
    try:
        yield
    except NeedsCredentials as failure:
        raise Paused(f"{what}: {failure}") from failure
    except AwsFailure as failure:
        if failure.transient:
            raise Paused(f"{what}: {failure}") from failure
        raise StepFailed(f"{what}: {failure}") from failure
