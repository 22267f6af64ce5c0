"""An emulated account alone, and one with moto's S3, IAM and STS beside it; both stand still in time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from polytune.emulator.bedrock.clock import VirtualClock
from polytune.emulator.bedrock.program import Emulator
from polytune.emulator.bedrock.rehearsal import Rehearsal
from polytune.emulator.bedrock.world import World

from .emulator_account import Account


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """An emulator with nothing beside it, for the whole session."""
    with Emulator(World(VirtualClock(speed=0))).serving() as running:
        yield running


@pytest.fixture(scope="session")
def rehearsal() -> Iterator[Rehearsal]:
    """A rehearsal for the whole session."""
    with Rehearsal(speed=0).serving() as running:
        yield running


@pytest.fixture
def account(emulator: Emulator) -> Iterator[Account]:
    """An empty account without S3, whose datasets all count as valid."""
    with Account.of(emulator) as made:
        made.control("reset", {})
        yield made


@pytest.fixture
def rehearsed(rehearsal: Rehearsal) -> Iterator[Account]:
    """An empty account with S3, IAM and STS; the bucket keeps what other tests put there."""
    with Account.rehearsed(rehearsal) as made:
        made.control("reset", {})
        yield made
