"""Building Strudel's engine from npm, and noticing when what was built is not whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from polytune.errors import StepFailed, Unavailable
from polytune.files import digest_of
from polytune.strudel.bundle import Description, build_bundle, bundle_in, bundle_path, description_path
from tests.messages import matching


def copied(cache: Path, folder: Path) -> Path:
    """A cache folder of our own with the built bundle in it."""
    shutil.copytree(cache / "strudel", folder / "strudel")
    return folder


def test_a_built_bundle_describes_itself(engine_cache: Path) -> None:
    """Beside the bundle stand the exact versions in it and its digest."""
    bundle = bundle_in(engine_cache)

    assert bundle is not None
    assert bundle.path == bundle_path(engine_cache)
    assert bundle.digest == digest_of(bundle.path)
    assert bundle.versions["@strudel/core"] == bundle.versions["@strudel/tonal"] == "1.2.6"
    assert {path.name for path in bundle.path.parent.iterdir()} == {"strudel-1.2.6.js", "strudel-1.2.6.json"}


def test_no_bundle(tmp_path: Path) -> None:
    """An empty cache holds no bundle."""
    assert bundle_in(tmp_path) is None


@pytest.mark.parametrize("harm", ["cut", "undescribed", "garbled", "other recipe"])
def test_a_bundle_that_is_not_whole_is_none(harm: str, engine_cache: Path, tmp_path: Path) -> None:
    """A damaged bundle, one without its description, or one of another recipe does not judge."""
    cache = copied(engine_cache, tmp_path)
    path, description = bundle_path(cache), description_path(cache)
    assert bundle_in(cache) is not None
    match harm:
        case "cut":
            path.write_bytes(path.read_bytes()[:-1])
        case "undescribed":
            description.unlink()
        case "garbled":
            description.write_text("{")
        case _:
            described = msgspec.json.decode(description.read_bytes(), type=Description)
            description.write_bytes(msgspec.json.encode(msgspec.structs.replace(described, recipe="0")))

    assert bundle_in(cache) is None


def test_without_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without npm is told what to install, and that the checker judges meanwhile."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(Unavailable, match=matching("graders/npm-is-not-on-path")):
        build_bundle(tmp_path / "cache")


def test_when_npm_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing npm leaves no bundle, and its last words are in the message."""
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error network request failed'\nexit 7\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    with pytest.raises(
        StepFailed, match="(?s)" + matching("graders/npm-ci-failed", status=7) + ".*npm error network"
    ):
        build_bundle(tmp_path / "cache")
    assert bundle_in(tmp_path / "cache") is None
