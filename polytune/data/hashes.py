"""64-bit hashes of prompts and rows, and hash tables that hold millions of them in about 32 bytes each.

Whitespace is ignored: two texts that differ only in whitespace are the same text. Among a million texts, the
probability that any two different ones have the same hash is 3 in 100 million.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import repeat

whitespace = b" \t\r\n\v\f"
tag_mask = 7
fewest_slots = 1 << 12


def bare(text: str) -> bytes:
    """The text's bytes without ASCII whitespace."""
    return text.encode().translate(None, whitespace)


def all_bare(texts: Iterable[str]) -> Iterator[bytes]:
    """`bare` for each text, at half the cost."""
    return map(bytes.translate, map(str.encode, texts), repeat(None), repeat(whitespace))


def stable_hash(content: bytes) -> int:
    """64 bits of SHA-256, signed, for hashes that are written to files. `hash` is faster within one run."""
    return int.from_bytes(sha256(content).digest()[:8], "little", signed=True)


class HashTable:
    """A map from hashes to tags from 1 to 7 (open addressing); the tag replaces the hash's lowest 3 bits."""

    def __init__(self, expected: int = 0) -> None:
        size = max(fewest_slots, 1 << (expected + expected // 2).bit_length())
        self.slots = array("q", bytes(8 * size))
        self._mask = size - 1
        self._room = size - size // 3

    def find(self, key: int) -> int:
        """The slot that holds the key, or the empty one (0) where it belongs."""
        slots, mask = self.slots, self._mask
        # The lowest three bits store the tag, so keys are compared without them.
        wanted = key | tag_mask
        slot = (key >> 3) & mask
        while (held := slots[slot]) and held | tag_mask != wanted:
            slot = (slot + 1) & mask
        return slot

    def fill(self, slot: int, key: int, tag: int) -> None:
        """The empty slot that `find` returned now holds the key; slots found earlier are no longer valid."""
        self.slots[slot] = key & ~tag_mask | tag
        self._room -= 1
        if not self._room:
            self._grow()

    def _grow(self) -> None:
        held = self.slots
        size = 2 * len(held)
        self.slots, self._mask = array("q", bytes(8 * size)), size - 1
        self._room = (size - size // 3) - (len(held) - len(held) // 3)
        for key in held:
            if key:
                self.slots[self.find(key)] = key


class RowTable(HashTable):
    """Prompts with their tags, and every row seen; needs no second look-up as long as prompts differ."""

    def __init__(self, expected: int = 0) -> None:
        super().__init__(expected)
        self._first_rows = array("q", bytes(8 * len(self.slots)))
        self._other_rows = HashTable()

    def add(self, prompts: Sequence[int], rows: Sequence[int], tag_of: Callable[[int], int]) -> list[int]:
        """The tag of each prompt, negative if its row was seen before; all rows are recorded.

        `tag_of` gives the tag of a new prompt, by its index in the sequence.
        """
        tags = []
        slots, mask = self.slots, self._mask
        for index, prompt in enumerate(prompts):
            # `find` and `fill`, inlined: calling them takes longer than their work.
            wanted, slot = prompt | tag_mask, (prompt >> 3) & mask
            while (held := slots[slot]) and held | tag_mask != wanted:
                slot = (slot + 1) & mask
            if held:
                tag = held & tag_mask
                tags.append(-tag if self._repeats(slot, rows[index]) else tag)
                continue
            tag = tag_of(index)
            tags.append(tag)
            slots[slot] = prompt & ~tag_mask | tag
            self._first_rows[slot] = rows[index]
            self._room -= 1
            if not self._room:
                self._grow()
                slots, mask = self.slots, self._mask
        return tags

    def _repeats(self, slot: int, row: int) -> bool:
        if self._first_rows[slot] == row:
            return True
        other = self._other_rows.find(row)
        if self._other_rows.slots[other]:
            return True
        self._other_rows.fill(other, row, 1)
        return False

    def _grow(self) -> None:
        before, rows = self.slots, self._first_rows
        super()._grow()
        self._first_rows = array("q", bytes(8 * len(self.slots)))
        for key, row in zip(before, rows, strict=True):
            if key:
                self._first_rows[self.find(key)] = row


class Repeats:
    """How often each text occurred, in about 12 bytes per distinct text."""

    def __init__(self) -> None:
        self._seen = HashTable()
        self._again: Counter[str] = Counter()
        """Only texts that occurred more than once."""

    def before(self, text: str) -> int:
        """How often the text occurred before; this occurrence is counted from now on."""
        key = stable_hash(text.encode())
        slot = self._seen.find(key)
        if not self._seen.slots[slot]:
            self._seen.fill(slot, key, 1)
            return 0
        self._again[text] += 1
        return self._again[text]
