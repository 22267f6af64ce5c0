"""What every grader test needs: a folder to judge in, settings, and Strudel's engine built once."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from polytune.settings import Settings
from polytune.strudel.bundle import build_bundle, bundle_in


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose cache holds no bundle."""
    return Settings(cache_folder=tmp_path / "cache", environment=dict(os.environ))


@pytest.fixture(scope="session")
def engine_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with the engine's bundle, built with npm once for all test processes."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed, so Strudel's engine cannot be built")
    if importlib.util.find_spec("py_mini_racer") is None:
        pytest.skip("mini-racer is not installed (the `local` extra), so Strudel's engine cannot run")
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    cache = shared / "engine-cache"
    with _alone(shared / "engine-cache.lock"):
        if bundle_in(cache) is None:
            build_bundle(cache)
    return cache


@pytest.fixture
def engine_settings(engine_cache: Path) -> Settings:
    """Settings whose cache holds the engine's bundle."""
    return Settings(cache_folder=engine_cache, environment=dict(os.environ))


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
