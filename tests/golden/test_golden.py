"""Keys, identities of answers and written bytes stay as they are, unless a member has a new version."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden import Entry, faults, recorded, table


@pytest.fixture(scope="module")
def current(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Entry]:
    """The table of the program as it is."""
    folder: Path = tmp_path_factory.mktemp("golden")
    return table(folder)


def test_nothing_moves_a_key_without_a_new_version(current: dict[str, Entry]) -> None:
    """No default, key, identity or byte differs from the table at the same version."""
    assert not list(faults(recorded(), current))


def test_the_table_is_complete(current: dict[str, Entry]) -> None:
    """Every member and every default is written down: run `python -m tests.golden` after adding one."""
    assert current == recorded()


@pytest.mark.parametrize("part", ["version", "defaults", "key"])
def test_only_a_new_version_may_change_an_entry(current: dict[str, Entry], part: str) -> None:
    """A changed default or key is a fault that names the member; with a new version it is none."""
    old = current["steps/train"]
    changed = {"version": 99, "defaults": {**old["defaults"], "method": "full"}, "key": "0" * 64}
    new = {**current, "steps/train": {**old, part: changed[part]}}

    found = list(faults(current, new))

    assert [each.partition(":")[0] for each in found] == ([] if part == "version" else ["steps/train"])


def test_a_new_option_is_no_fault(current: dict[str, Entry]) -> None:
    """A field that is added with a default changes no key, so it needs no version."""
    old = current["teachers/polychat"]
    new = {**current, "teachers/polychat": {**old, "defaults": {**old["defaults"], "voice": None}}}

    assert not list(faults(current, new))
