"""The parts under format and validate: lines, hashes, shares, and the search for reserved strings."""

from __future__ import annotations

import operator
import random
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polytune.base_models.interface import Reserved
from polytune.data.format.splits import Placer, Shares, stirred
from polytune.data.hashes import HashTable, RowTable, all_bare, bare, stable_hash, tag_mask
from polytune.data.lines import block_at, blocks, chunk_bytes, expected_lines, spans
from polytune.data.validate.reserved import ReservedScanner
from polytune.formats.interface import Passage

STRINGS = Reserved(documented=("User:", "System:", "<image>", "[EOS]"), reported=("Thought:",))


@pytest.mark.parametrize("ending", [b"", b"\n"])
@pytest.mark.parametrize("length", [0, 1, 77, chunk_bytes - 1, chunk_bytes, chunk_bytes + 1, 3 * chunk_bytes])
def test_lines_come_back_whole_wherever_chunks_end(tmp_path: Path, length: int, ending: bytes) -> None:
    """Lines longer and shorter than a chunk are numbered and whole, with and without a last newline."""
    lines = [b"first", b"x" * length, b"", b"last"]
    path = tmp_path / "lines"
    path.write_bytes(b"\n".join(lines) + ending)

    found = [(block.first + index, line) for block in blocks(path) for index, line in enumerate(block.lines)]

    assert found == list(enumerate(lines, 1))
    assert [block_at(path, span) for span in spans(path)] == list(blocks(path))


def test_the_raw_block_is_its_lines(tmp_path: Path) -> None:
    """What is searched at once is what is read line by line."""
    path = tmp_path / "lines"
    path.write_bytes(b"".join(b"%d\n" % number for number in range(300_000)))

    found = list(blocks(path))

    assert len(found) > 1
    assert all(block.raw == b"\n".join(block.lines) for block in found)
    assert abs(expected_lines(path) - 300_000) < 60_000


@given(st.text(), st.text())
def test_only_whitespace_is_ignored(one: str, other: str) -> None:
    """Texts have equal bare bytes exactly if they differ in ASCII whitespace only."""

    def squeezed(text: str) -> str:
        return "".join(character for character in text if character not in " \t\r\n\v\f")

    safe = [text.encode(errors="replace").decode() for text in (one, other)]
    assert (bare(safe[0]) == bare(safe[1])) == (squeezed(safe[0]) == squeezed(safe[1]))
    assert list(all_bare(safe)) == [bare(text) for text in safe]


def test_chance_is_pinned() -> None:
    """Split placements depend on these figures: a change of them moves every row of every dataset."""
    assert stable_hash(b"") == 1449310910991872227
    assert stable_hash(b"polytune.split.v2:0") == 4635991899026381800
    assert [stirred(bits) for bits in (0, 1, 2**64 - 1)] == [0, 1452414493, 3033552381]


def test_chance_is_even_and_differs_from_seed_to_seed() -> None:
    """Prompts that differ in a number only are drawn evenly, and two seeds share no more than by chance."""
    prompts = [b"Write,take%d." % number for number in range(10_000)]
    tests = []
    for seed in range(8):
        placer = Placer(Shares([0.5, 0.5]), seed)
        cell = placer.new_cell()
        placed = [placer.place(cell, crc32(prompt)) for prompt in prompts]
        # Every second prompt fills up what the one before it left open.
        tests.append(placed[::2])

    agreements = [
        sum(map(operator.eq, one, other)) for index, one in enumerate(tests) for other in tests[:index]
    ]
    assert all(2300 < sum(placed) < 2700 for placed in tests)
    assert all(2300 < agreement < 2700 for agreement in agreements)


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(1, 7)), max_size=300))
def test_a_hash_table_is_a_dictionary(entries: list[tuple[int, int]]) -> None:
    """Every key keeps its first tag; unknown keys have none."""
    table, known = HashTable(), dict[int, int]()
    for key, tag in entries:
        slot = table.find(key)
        held = table.slots[slot] & tag_mask
        assert held == known.get(key | tag_mask, 0)
        if not held:
            table.fill(slot, key, tag)
            known[key | tag_mask] = tag

    assert all(table.slots[table.find(key)] & tag_mask == tag for key, tag in known.items())


def test_tables_grow_and_forget_nothing() -> None:
    """Fifty thousand prompts and their rows are known after many growths; strangers are not."""
    dice = random.Random(3)
    prompts = [dice.getrandbits(64) - 2**63 for _ in range(50_000)]
    tags = [1 + prompt % 3 for prompt in prompts]
    seen = [-tag for tag in tags]
    others = [prompt // 11 for prompt in prompts]
    table = RowTable()

    assert table.add(prompts, [prompt // 7 for prompt in prompts], tags.__getitem__) == tags
    assert table.add(prompts, [prompt // 7 for prompt in prompts], lambda _: 7) == seen
    assert table.add(prompts, others, lambda _: 7) == tags
    assert table.add(prompts, others, lambda _: 7) == seen
    assert table.add([dice.getrandbits(64) - 2**63 for _ in range(1000)], others, lambda _: 7) == [7] * 1000


def test_what_repeats_within_one_meeting_is_seen() -> None:
    """The second of two equal rows is known, and tells a prompt's other rows apart."""
    met = RowTable().add([80, 80, 80, 160], [1, 1, 2, 1], [3, 9, 9, 4].__getitem__)

    assert met == [3, -3, 3, 4]


percentages = st.lists(st.integers(1, 97), min_size=1, max_size=2).filter(lambda parts: sum(parts) < 100)


@settings(max_examples=60)
@given(percentages, st.integers(1, 25), st.integers(0, 2**32))
def test_every_prefix_of_placements_is_fair(parts: list[int], cells: int, seed: int) -> None:
    """After any number of prompts each split is less than one prompt from its share, whatever the shares."""
    shares = [part / 100 for part in (*parts, 100 - sum(parts))]
    placer, counts, dice = Placer(Shares(shares)), [0] * len(shares), random.Random(seed)
    numbers = [placer.new_cell() for _ in range(cells)]
    for placed in range(1, 400):
        counts[placer.place(numbers[placed % cells], dice.getrandbits(32))] += 1
        assert all(abs(count - share * placed) < 1 for count, share in zip(counts, shares, strict=True))

    assert placer.counts == counts


texts = st.lists(
    st.sampled_from(
        [
            "User:",
            "user:",
            "System:",
            "eco",
            "system:",
            "<image>",
            "[EOS]",
            "[eos]",
            "Thought:",
            " ",
            "_",
            "bd:3",
        ]
    )
).map("".join)


@given(texts, st.sampled_from(["system", "user", "assistant"]))
def test_the_fast_search_never_misses_what_the_slow_one_finds(text: str, role: str) -> None:
    """Where there is a finding, the bytes were suspicious; clean bytes never have findings."""
    scanner = ReservedScanner(STRINGS)
    passage = Passage("text", "user" if role == "user" else "assistant", text)

    found = scanner.findings([passage], 1)

    assert scanner.may_hold(text.encode()) or not found


def test_a_model_without_reserved_strings_searches_nothing() -> None:
    """Nothing is suspicious to it, not even escapes."""
    scanner = ReservedScanner(Reserved())

    assert not scanner.may_hold(b"User: \\u0055")


def test_each_string_is_reported_once_for_a_text() -> None:
    """A text full of one string is one finding."""
    found = ReservedScanner(STRINGS).findings([Passage("prompt", "user", "User: User: user: User:")], 4)

    assert [(finding.severity, finding.line) for finding in found] == [("error", 4), ("warning", 4)]
