"""What tests of several folders share: a workspace of their own, and a ledger in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from polytune import umask
from polytune.engine.ledger import Ledger
from polytune.engine.workspace import Workspace

# The same examples on every run, and no time limit for one: a busy machine fails no test.
hypothesis.settings.register_profile("steady", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("steady")


@pytest.fixture(autouse=True)
def usual_permissions() -> Iterator[None]:
    """A test that opens a workspace for writing in this process narrows the permissions of later files."""
    yield
    os.umask(umask.usual())


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or fills the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


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
