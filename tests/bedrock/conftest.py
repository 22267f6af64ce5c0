"""One account for each test, in servers that live as long as the session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from polytune.emulator.bedrock.rehearsal import Rehearsal

from .cloud import Cloud, opened


@pytest.fixture(scope="session")
def rehearsal() -> Iterator[Rehearsal]:
    """An emulator and moto, whose time moves only when somebody waits."""
    with Rehearsal(speed=0).serving() as running:
        yield running


@pytest.fixture
def cloud(rehearsal: Rehearsal) -> Iterator[Cloud]:
    """An account without jobs, models and deployments."""
    with opened(rehearsal) as made:
        yield made
