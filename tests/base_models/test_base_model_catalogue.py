"""How a catalogue finds its entries: one to a file, rows of a table, and those of other packages."""

from __future__ import annotations

import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from polytune.base_models.interface import BASE_MODELS
from polytune.registry import Catalogue, UnknownMember
from tests.messages import matching

HEAVY = {"boto3", "botocore", "pydantic", "torch", "transformers", "asyncio", "rich", "click"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """An empty package `<home>.fractions` for the files of a catalogue, under a home of this test's own."""
    monkeypatch.syspath_prepend(str(tmp_path))
    home = re.sub(r"\W", "_", f"home_of_{request.node.name}_{id(request)}")
    package = tmp_path / home / "fractions"
    package.mkdir(parents=True)
    for made in (package, package.parent):
        (made / "__init__.py").write_text("")
    return package


def catalogue(folder: Path) -> Catalogue[Fraction]:
    """The catalogue of the package."""
    return Catalogue(folder.name, "fraction", Fraction, folder.parent.name)


def test_names_come_from_files_and_from_tables(folder: Path) -> None:
    """A file with one entry gives its own name, a table the names of its rows; helpers give none."""
    (folder / "one_half.py").write_text("from fractions import Fraction\nHALF = Fraction(1, 2)\n")
    (folder / "thirds.py").write_text(
        "from polytune import __name__ as nobody\nfrom fractions import Fraction\n"
        "words = {'a': 1}\nTHIRDS = {f'{n}-3': Fraction(n, 3) for n in (1, 2)}\n"
    )
    (folder / "_shared.py").write_text("raise AssertionError\n")
    (folder / "interface.py").write_text("raise AssertionError\n")
    found = catalogue(folder)

    assert found.names() == ["1-3", "2-3", "one-half"]
    assert (found.get("one-half"), found.get("2-3")) == (Fraction(1, 2), Fraction(2, 3))
    with pytest.raises(UnknownMember, match=r"unknown fraction 'thirds'"):
        found.get("thirds")


@pytest.mark.parametrize(
    "content",
    ["", "A = Fraction(1)\nB = Fraction(2)\n", "A = Fraction(1)\nT = {'b': Fraction(2)}\n"],
)
def test_a_file_holds_one_entry_or_one_table(folder: Path, content: str) -> None:
    """A file without entries, or with several that no table names, is a mistake of whoever wrote it."""
    (folder / "wrong.py").write_text(f"from fractions import Fraction\n{content}")

    with pytest.raises(TypeError, match=matching("base_models/exactly-one-fraction")):
        catalogue(folder).names()


def test_a_name_is_stated_once(folder: Path) -> None:
    """Two tables with one name are refused: neither may hide the other."""
    for stem in ("one", "two"):
        (folder / f"{stem}.py").write_text("from fractions import Fraction\nT = {'same': Fraction(1)}\n")

    with pytest.raises(TypeError, match=matching("base_models/same-is-in-another-file-too")):
        catalogue(folder).names()


def test_another_package_adds_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of an entry point in `polytune.base_models` is an entry's name, its value the entry."""
    metadata = tmp_path / "theirs-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[polytune.base_models]\ntheir-model = their_models:THEIRS\nwrong-model = their_models:WRONG\n"
    )
    (tmp_path / "their_models.py").write_text(
        "import msgspec\nfrom polytune.base_models.interface import LOCAL_DIRECTORY\n"
        "THEIRS = msgspec.structs.replace(LOCAL_DIRECTORY, name='their-model')\nWRONG = 'wrong'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    assert "their-model" in BASE_MODELS.names()
    assert BASE_MODELS.get("their-model").name == "their-model"
    with pytest.raises(TypeError, match=r"entry point wrong-model of polytune\.base_models is no base model"):
        BASE_MODELS.get("wrong-model")


def test_asking_for_the_names_imports_nothing_heavy() -> None:
    """The catalogue's files are facts: naming them all costs no library that start-up does without."""
    code = (
        "from polytune.base_models.interface import BASE_MODELS; import sys; BASE_MODELS.names();"
        f"print(sorted({HEAVY!r} & sys.modules.keys()))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
