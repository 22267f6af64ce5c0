"""Rows aligned in streams give what a plain comparison of dictionaries gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytune.engine.rowdiff import Alignment, DatasetRow, DatasetSide, RowPlace, align
from polytune.engine.textdiff import compare_files, compare_texts, largest_text_bytes
from tests.messages import message

rows = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from(["train", "test"]), st.sampled_from([b"x", b"y"])),
    unique_by=lambda row: row[0],
    max_size=25,
)
Simple = Sequence[tuple[int, str, bytes]]


def dataset(simple: Simple, second: str = "") -> DatasetSide:
    """Rows numbered within their group; `second` is the second identity of all of them."""

    def read() -> Iterator[DatasetRow]:
        lines: dict[str, int] = {}
        for key, group, content in simple:
            lines[group] = lines.get(group, 0) + 1
            yield DatasetRow(str(key), group, lines[group], content)

    return DatasetSide(read, lambda row: second)


@given(rows, rows)
def test_counts_are_those_of_a_plain_comparison(old: Simple, new: Simple) -> None:
    """Rows are added, removed, changed or moved exactly as two dictionaries by identity say."""
    before, after = ({row[0]: row[1:] for row in side} for side in (old, new))
    both = before.keys() & after.keys()

    found = align(dataset(old), dataset(new), shown=100)

    assert len(found.added) == len(after) - len(both)
    assert len(found.removed) == len(before) - len(both)
    assert len(found.changed) == sum(before[key][1] != after[key][1] for key in both)
    assert len(found.moved) == sum(
        before[key][1] == after[key][1] and before[key][0] != after[key][0] for key in both
    )
    assert found.same == sum(before[key] == after[key] for key in both)


@given(rows, rows, st.sampled_from(["", "one for all"]))
def test_every_group_adds_up(old: Simple, new: Simple, second: str) -> None:
    """In each group the new count is the old one with what came and without what went."""
    found = align(dataset(old, second), dataset(new, second), shown=0)

    for group in found.groups.values():
        assert group.new == (group.old + group.added - group.removed + group.moved_in - group.moved_out)
    _nothing_shown(found)


def _nothing_shown(found: Alignment) -> None:
    assert [found.added, found.removed, found.changed, found.moved] == [[], [], [], []]


def test_left_over_rows_are_aligned_by_their_second_identity() -> None:
    """Rows without a partner of the same identity find one by content, in order, and only the rest differ."""
    old = dataset([(1, "train", b"a"), (2, "train", b"b"), (3, "train", b"c")], "same question")
    new = dataset([(1, "train", b"a"), (8, "train", b"b"), (9, "train", b"d")], "same question")

    found = align(old, new, shown=3)

    assert (found.same, found.by_content) == (2, 2)
    assert [(move.old, move.new) for move in found.changed] == [(RowPlace("train", 3), RowPlace("train", 3))]


def test_only_the_first_rows_are_kept() -> None:
    """Of five added rows two are shown and five are counted."""
    found = align(dataset([]), dataset([(n, "train", b"") for n in range(5)]), shown=2)

    assert found.added == [RowPlace("train", 1), RowPlace("train", 2)]
    assert found.groups["train"].added == 5


@given(st.lists(st.sampled_from(["a", "b", "c"])), st.lists(st.sampled_from(["a", "b", "c"])))
def test_hunks_account_for_every_line(old: list[str], new: list[str]) -> None:
    """The new text has as many lines as the old one and the added ones, without the removed ones."""
    found = compare_texts("\n".join(old), "\n".join(new))

    assert len(new) - len(old) == found.added - found.removed
    assert bool(found.hunks) == (old != new)


def test_a_line_that_looks_like_a_head_is_counted() -> None:
    """A removed line that begins with dashes is one removed line."""
    found = compare_texts("-- end\nkept", "kept")

    assert (found.hunks[1:], found.removed) == (("--- end", " kept"), 1)


@pytest.mark.parametrize(
    ("old", "new", "note"),
    [
        (None, b"x", message("diff/old-text-is-not-kept-here")),
        (b"x", None, message("diff/new-text-is-not-kept-here")),
        (None, None, message("diff/either-text-is-not-kept-here")),
        (b"\xff\xfe", b"x", "not text"),
        (b"x" * (largest_text_bytes + 1), b"x", message("diff/longer-than-mib", number=1)),
        (b"a\n", b"a\r\n", message("diff/only-line-ends-differ")),
    ],
)
def test_a_text_that_cannot_be_compared_says_why(
    old: bytes | None, new: bytes | None, note: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What is gone, binary, too long or equal line by line is told in words."""
    folder = tmp_path_factory.mktemp("texts")
    paths = [folder / "old" if old is not None else None, folder / "new" if new is not None else None]
    for path, content in zip(paths, (old, new), strict=True):
        if path is not None and content is not None:
            path.write_bytes(content)

    assert compare_files(*paths).note == note
