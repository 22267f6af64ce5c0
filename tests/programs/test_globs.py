"""Patterns of files: what they match, what they pass over, and which folders they look into."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytune.engine.filememory import FileMemory
from polytune.engine.ledger import Ledger
from polytune.globs import files_below, lists, matches, pattern_below

FILES = (
    "a.json",
    "b.txt",
    ".hidden.json",
    "data/a.json",
    "data/deep/b.json",
    "data/deep/er/c.txt",
    "da[1]/x.json",
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files at several depths, with folders among them that programs generate."""
    root = tmp_path_factory.mktemp("tree")
    generated = ("runs/.gitignore", "env/pyvenv.cfg", "__pycache__/a.json", ".git/a.json")
    inside = ("runs/a.json", "env/a.json", "data/__pycache__/a.json")
    for name in (*FILES, *generated, *inside):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a.json", ["a.json"]),
        ("*.json", [".hidden.json", "a.json"]),
        ("**/*.json", [".hidden.json", "a.json", "da[1]/x.json", "data/a.json", "data/deep/b.json"]),
        ("**/**/b.*", ["b.txt", "data/deep/b.json"]),
        ("data", ["data/a.json", "data/deep/b.json", "data/deep/er/c.txt"]),
        ("data/**", ["data/a.json", "data/deep/b.json", "data/deep/er/c.txt"]),
        ("data/*", ["data/a.json"]),
        ("d*/*.json", ["da[1]/x.json", "data/a.json"]),
        ("da[1]", ["da[1]/x.json"]),
        ("da[1]/*.json", []),
        ("da[[]1]/*.json", ["da[1]/x.json"]),
        ("data/deep/../?.json", ["data/a.json"]),
        ("nowhere/*.json", []),
        ("a.json/*", []),
        ("runs/*.json", ["runs/a.json"]),
    ],
)
def test_what_a_pattern_matches(text: str, found: list[str], tree: Path) -> None:
    """Sorted files; hidden ones too, and what programs generate only where the pattern names its folder."""
    names = [path.relative_to(tree).as_posix() for path in matches(pattern_below(tree, text))]

    assert names == found


def test_a_folder_whose_name_is_a_pattern(tree: Path) -> None:
    """Patterns below such a folder mean that folder."""
    assert matches(pattern_below(tree / "da[1]", "*.json")) == (tree / "da[1]" / "x.json",)


parts = st.sampled_from(["*", "**", "data", "deep", "d*", "*.json", "?.json", "a.json", "e*r", "[ab].json"])


@given(st.lists(parts, min_size=1, max_size=5).map("/".join))
def test_a_pattern_lists_the_folders_in_which_it_finds_names(text: str) -> None:
    """If a new file changes what a pattern matches, the pattern looks into the file's folder."""
    pattern = Path("/work") / text
    for name in ("a.json", "data/a.json", "data/deep/b.json"):
        path = Path("/work") / name
        if path.full_match(pattern) if hasattr(path, "full_match") else _full_match(path, pattern):
            magic = any(set(part) & set("*?[") for part in pattern.parts)
            assert lists(pattern, path.parent) or not magic or pattern.name == path.name


def _full_match(path: Path, pattern: Path) -> bool:
    def match(names: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
        if not wanted:
            return not names
        if wanted[0] == "**":
            return match(names, wanted[1:]) or bool(names and match(names[1:], wanted))
        return bool(names) and Path(names[0]).match(wanted[0]) and match(names[1:], wanted[1:])

    return match(path.parts[1:], pattern.parts[1:])


def test_a_pattern_has_a_digest(tree: Path, ledger: Ledger) -> None:
    """Another file, another content and another name give another digest; no match gives none."""
    memory, pattern = FileMemory(ledger), pattern_below(tree, "data/**/*.txt")
    first = memory.digest(pattern)
    (tree / "data" / "new.txt").write_text("new")
    added = memory.digest(pattern)
    (tree / "data" / "new.txt").rename(tree / "data" / "newer.txt")
    renamed = memory.digest(pattern)
    (tree / "data" / "newer.txt").unlink()

    assert len({first, added, renamed}) == 3
    assert memory.digest(pattern) == first is not None
    assert memory.digest(pattern_below(tree, "data/*.nothing")) is None


def test_linked_folders_do_not_go_round(tmp_path: Path) -> None:
    """A link to a folder above is not walked again."""
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path)

    assert list(files_below(tmp_path)) == [tmp_path / "a.txt"]
    assert matches(pattern_below(tmp_path, "**/*.txt")) == (tmp_path / "a.txt",)
