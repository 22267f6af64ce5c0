"""An AWS account on this machine, for sources in S3 and media in a bucket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from polytune.emulator.bedrock.rehearsal import Rehearsal
from tests.bedrock.cloud import Cloud, opened


@pytest.fixture(scope="session")
def rehearsal() -> Iterator[Rehearsal]:
    """An emulator and moto, whose time moves only when somebody waits."""
    with Rehearsal(speed=0).serving() as running:
        yield running


@pytest.fixture
def cloud(rehearsal: Rehearsal) -> Iterator[Cloud]:
    """An account without jobs."""
    with opened(rehearsal) as made:
        yield made
