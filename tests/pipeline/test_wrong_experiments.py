"""A gallery of wrong experiments of the real step kinds, each with its exact messages."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from polytune.errors import SpecError
from polytune.wiring import OpenWorkspace

gallery = Path(__file__).with_name("wrong_experiments.yaml")
good, *entries = yaml.safe_load_all(gallery.read_text(encoding="utf-8"))


def problems_in(folder: Path, entry: dict[str, Any]) -> list[str]:
    """What polytune says about the good experiment with an entry's replacements."""
    for name, text in good["files"].items():
        (folder / name).write_text(text, encoding="utf-8")
    text = good["files"]["main.yaml"]
    for old, new in entry["change"].items():
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the good experiment"
        text = text.replace(old, new)
    (folder / "main.yaml").write_text(text, encoding="utf-8")
    with contextlib.chdir(folder):
        opened = OpenWorkspace.open(Path("main.yaml"), folder)
        try:
            opened.compile(Path("main.yaml"), entry.get("set", ()))
        except SpecError as error:
            return [str(problem).replace(str(folder), "HERE") for problem in error.problems]
    return []


def test_the_good_experiment_has_no_problems(tmp_path: Path) -> None:
    """What the gallery changes is right before it is changed."""
    assert problems_in(tmp_path, {"change": {}}) == []


@pytest.mark.parametrize("entry", entries, ids=lambda entry: entry["name"])
def test_wrong_experiment_is_explained(tmp_path: Path, entry: dict[str, Any]) -> None:
    """The messages of a wrong experiment are exactly the recorded ones, all at once and in file order."""
    assert problems_in(tmp_path, entry) == entry["says"]
