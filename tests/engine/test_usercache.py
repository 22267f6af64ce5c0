"""What is remembered outside of workspaces: compilations where the ledger cannot keep them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from polytune.usercache import UserCache, most_bytes, most_files
from polytune.wiring import OpenWorkspace

experiment = """\
name: x
platform: {kind: local}
steps: {generate: {prompts: p.yaml, teacher: {kind: none}, count: 1, matrix: {style: [a]}}}
"""
prompts = """\
system: Help.
templates: [Hello.]
"""


@pytest.fixture
def cache(tmp_path: Path) -> UserCache:
    """An empty cache in a home of its own."""
    return UserCache(tmp_path / "cache" / "values")


def test_what_is_kept_is_private_and_comes_back(cache: UserCache) -> None:
    """A value is found under its identity, in a folder that nobody else can look into."""
    assert cache.get("a") is None
    cache.put("a", b"value")

    assert cache.get("a") == b"value"
    assert cache.folder.stat().st_mode & 0o777 == 0o700


def test_the_cache_is_bounded(cache: UserCache) -> None:
    """The latest values stay; one that is too large is not kept at all."""
    for number in range(most_files + 5):
        cache.put(str(number), b"")
        os.utime(cache.folder / str(number), ns=(number, number))
    cache.put("large", bytes(most_bytes + 1))

    assert len(list(cache.folder.iterdir())) <= most_files + 1
    assert cache.get("0") is None
    assert cache.get(str(most_files)) == b""
    assert cache.get("large") is None


def test_a_folder_that_others_can_write_to_is_not_believed(cache: UserCache) -> None:
    """Anybody could have put the value there."""
    cache.put("a", b"value")
    cache.folder.chmod(0o777)

    assert cache.get("a") is None


def test_a_cache_that_cannot_be_used_is_not_used(tmp_path: Path) -> None:
    """A file in its place is no error."""
    (tmp_path / "cache").write_text("")
    cache = UserCache(tmp_path / "cache" / "values")

    cache.put("a", b"value")

    assert cache.get("a") is None


def test_a_plan_before_the_first_run_is_remembered_outside_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compilation is recalled by the next command, and nothing is written into the folder."""
    folder = tmp_path / "space"
    folder.mkdir()
    (folder / "p.yaml").write_text(prompts)
    file = folder / "x.yaml"
    file.write_text(experiment)
    monkeypatch.setenv("POLYTUNE_CACHE", str(tmp_path / "cache"))
    kept = tmp_path / "cache" / "compilations"

    (first,) = OpenWorkspace.open(file, folder).compile(file, ())
    (remembered,) = kept.iterdir()
    forged = remembered.read_bytes().replace(b'"description":""', b'"description":"forged"')
    remembered.write_bytes(forged)
    (second,) = OpenWorkspace.open(file, folder).compile(file, ())
    file.write_text(f"description: edited\n{experiment}")
    (third,) = OpenWorkspace.open(file, folder).compile(file, ())

    assert [each.description for each in (first, second, third)] == ["", "forged", "edited"]
    assert sorted(each.name for each in folder.iterdir()) == ["p.yaml", "x.yaml"]
