"""YAML text becomes located values, and nothing in a file can hurt the reader."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from polytune.errors import Problem, SpecError
from polytune.fingerprint import Json
from polytune.spec.located import Node, at, children, plain, split
from polytune.spec.reading import parse_value, read_yaml
from tests.messages import matching, message


def written(folder: Path, text: str | bytes) -> Path:
    """A file with this content."""
    path = folder / "experiment.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read(folder: Path, text: str | bytes) -> Node:
    """The node that a file with this content holds."""
    return read_yaml(written(folder, text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5e-5", 5e-5),
        ("1E3", 1000.0),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("1_000", 1000),
        ("+7", 7),
        ("-0", 0),
        ("yes", True),
        ("off", False),
        ("~", None),
        ("", None),
        ("007", "007"),
        ("012345678901", "012345678901"),
        ("0x1F", "0x1F"),
        ("12:30:45", "12:30:45"),
        ("2026-11-20", "2026-11-20"),
        ("y", "y"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1e", "1e"),
        ("1.2.3", "1.2.3"),
        ("'5'", "5"),
        ('"no"', "no"),
        ("!!str 5", "5"),
        ("!!float 1", 1.0),
        ("! 5", "5"),
        ("[1, [a]]", [1, ["a"]]),
        ("{b: 1}", {"b": 1}),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_scalars_mean_what_people_mean(text: str, value: Json, tmp_path: Path) -> None:
    """A value is the number, truth value, text, list or mapping that a reader takes it for."""
    node = read(tmp_path, f"a: {text}")

    assert plain(node) == {"a": value}
    assert type(plain(children(node)["a"])) is type(value)


def test_values_and_keys_know_their_place(tmp_path: Path) -> None:
    """Every value and every key has the line and column where it begins, counted from 1."""
    node = read(tmp_path, "steps:\n  train:\n    epochs: 8 # many\n    tags: [a,\n      bb]\n")

    epochs, second = at(node, split("steps.train.epochs")), at(node, split("steps.train.tags.1"))
    train = at(node, split("steps.train"))
    assert epochs
    assert second
    assert train
    assert (epochs.origin.line, epochs.origin.column, epochs.text) == (3, 13, "8")
    assert (second.origin.line, second.origin.column) == (5, 7)
    assert (train.keys["epochs"].line, train.keys["epochs"].column) == (3, 5)
    assert epochs.origin.file == tmp_path / "experiment.yaml"


def test_columns_count_characters(tmp_path: Path) -> None:
    """A column counts characters, not bytes, and a byte order mark is no character."""
    node = read(tmp_path, "\ufeff{é: x, b: y}")

    second = at(node, ["b"])
    assert second
    assert (second.origin.line, second.origin.column) == (1, 11)


def test_anchors_and_merges_are_filled_in(tmp_path: Path) -> None:
    """An alias repeats its anchor's value, and `<<` gives the keys that a mapping does not state."""
    node = read(
        tmp_path,
        "one: &one {a: 1, b: 1}\ntwo: &two {b: 2, c: 2}\nboth: {<<: [*one, *two], a: 0}\nalso: *one\n",
    )

    assert plain(node) == {
        "one": {"a": 1, "b": 1},
        "two": {"b": 2, "c": 2},
        "both": {"a": 0, "b": 1, "c": 2},
        "also": {"a": 1, "b": 1},
    }
    merged = at(node, split("both.c"))
    assert merged
    assert merged.origin.line == 2


def test_nothing_grows_from_aliases_beyond_a_bound(tmp_path: Path) -> None:
    """A file whose aliases multiply into millions of values is refused at once."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    started = time.monotonic()

    with pytest.raises(
        SpecError, match=r"experiment\.yaml:5:\d+: " + matching("spec/more-than-values", values="50,000")
    ):
        read(tmp_path, "\n".join(lines))

    assert time.monotonic() - started < 5


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_nesting_has_a_limit(opening: str, tmp_path: Path) -> None:
    """The first level that is too deep is named with its place."""
    column = 40 * len(opening) + 1

    with pytest.raises(
        SpecError, match=f"1:{column}: " + matching("spec/nested-deeper-than-levels", levels=40)
    ):
        read(tmp_path, opening * 41 + "x")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused(opening: str, tmp_path: Path) -> None:
    """A file nested far deeper, which libyaml may refuse first, does not end the process."""
    with pytest.raises(SpecError, match=r"^\S+\.yaml:1:\d+: "):
        read(tmp_path, opening * 100_000)


def test_bytes_that_are_not_utf8_are_placed(tmp_path: Path) -> None:
    """The first byte that is not UTF-8 is named with its line and column."""
    with pytest.raises(SpecError, match=matching("spec/byte-is-not-utf", name="yaml:2:10", name2="0xe9")):
        read(tmp_path, "name: a\nproject: \xe9t\xe9\n".encode("latin-1"))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "1:1: byte 0x89 is not UTF-8"),
        (b"name: a\nb: \0\n", r"2:4: control character 0x00"),
        ("name: a\ufffe".encode(), r"1:8: control character 0xfffe"),
        (b"x" * 4_000_001, r"experiment\.yaml: " + matching("spec/is-larger-than-mb", number=4)),
        (b"%YAML 3.0\n---\na: 1", "1:1: " + matching("spec/this-yaml-version-is-not-supported")),
        (b"a: !!int five", "1:4: " + matching("spec/does-not-fit-its-tag", name="five", name2="!!int")),
        (b"a: !!binary aGk=", "1:4: " + matching("spec/tag-is-not-supported", name="!!binary")),
        (b"? [a]\n: 1", "1:3: " + matching("spec/key-must-be-text")),
        (b"a: [1,,2]", "1:7: " + matching("spec/value-is-missing-here")),
        (b"a: |2x\n  y", "1:6: " + matching("spec/unexpected-text-after")),
        (b"- a\nb: 1", "2:1: expected another '- ' item"),
        (b"{a: 1}}", "1:7: " + matching("spec/there-is-more-text-after-end")),
        (b"a: *", "1:5: " + matching("spec/and-start-alias")),
    ],
)
def test_unreadable_content_is_told_in_plain_words(content: bytes, complaint: str, tmp_path: Path) -> None:
    """What is no YAML experiment is refused with its place and a plain reason."""
    with pytest.raises(SpecError, match=complaint):
        read(tmp_path, content)


def test_paths_that_are_no_file_are_told(tmp_path: Path) -> None:
    """A missing file and a folder are named, without a line."""
    with pytest.raises(SpecError, match=r"nothing\.yaml: no such file$"):
        read_yaml(tmp_path / "nothing.yaml")
    with pytest.raises(SpecError, match=": " + matching("spec/is-folder") + "$"):
        read_yaml(tmp_path)


def test_every_problem_of_a_text_is_told_at_once(tmp_path: Path) -> None:
    """Problems that leave the rest readable are collected."""
    with pytest.raises(SpecError, match="duplicate key 'a'") as raised:
        read(tmp_path, "a: 1\na: 2\nb: !x 1\n3: c\n")

    assert [(problem.line, problem.column) for problem in raised.value.problems] == [(2, 1), (3, 4), (4, 1)]


def test_messages_are_one_printable_line(tmp_path: Path) -> None:
    """Line breaks, terminal escapes and great length in a file do not reach its messages."""
    with pytest.raises(SpecError, match="duplicate key") as raised:
        read(tmp_path, '"a\\n\\e[31mb": 1\n"a\\n\\e[31mb": 2\n' + f"!{'x' * 900} c: 1\n")

    assert all(str(problem.what).isprintable() for problem in raised.value.problems)
    assert max(len(problem.what) for problem in raised.value.problems) == 600


def test_command_line_values_are_yaml_without_places() -> None:
    """A `--set` value has the type that it would have in a file, and `--set` as its origin."""
    problems: list[Problem] = []

    node = parse_value("{a: [1, 5e-5]}", "steps.x", problems)

    assert node
    assert plain(node) == {"a": [1, 5e-5]}
    inner = at(node, ["a", "1"])
    assert inner
    assert (str(inner.origin.file), inner.origin.line, inner.text) == ("--set", 0, "5e-5")
    assert problems == []


def test_wrong_command_line_values_name_their_path() -> None:
    """A `--set` value that is no YAML is told under the path that was to be set."""
    problems: list[Problem] = []

    assert parse_value("[1", "steps.x", problems) is None
    assert [str(problem) for problem in problems] == [
        "--set: steps.x: " + message("general/this-is-not-closed")
    ]
