"""What tests of several folders share: a workspace of their own, and a ledger in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from polytune.engine.ledger import Ledger
from polytune.engine.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace with its `runs/`."""
    made = Workspace(tmp_path / "space")
    made.create()
    return made


@pytest.fixture
def ledger(workspace: Workspace) -> Iterator[Ledger]:
    """The workspace's ledger, closed when the test ends."""
    opened = Ledger.open(workspace.ledger)
    yield opened
    opened.close()
