"""The first line of each prompt, and of each prompt with its answer; about 32 bytes per row.

    hashes of a block's rows --FirstSeen.add--> the lines on which they were seen first

As long as prompts differ, a row costs one look-up: its answer is stored next to its prompt. Only further
answers to the same prompt go into the second table.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from polytune.data.hashes import all_bare, bare
from polytune.data.reading import Row

fewest_slots = 1 << 12


class RowHashes(NamedTuple):
    """One item per row in each array; hashes can be compared within one run only."""

    # They come from `hash`, which is seeded per run; see `workers._share_hash_seed`.

    lines: array[int]
    prompts: array[int]
    """Hashes of system prompt and prompt, ignoring whitespace."""
    pairs: array[int]
    """Hashes of system prompt, prompt and answer, ignoring whitespace."""


def row_hashes(rows: Iterable[Row]) -> RowHashes:
    """The rows' hashes; rows of plain text have no prompt and are left out."""
    asked = [row for row in rows if row.prompt]
    systems = {system: bare(system) for system in {row.system for row in asked}}
    prompts = list(
        zip((systems[row.system] for row in asked), all_bare([row.prompt for row in asked]), strict=True)
    )
    answers = all_bare([row.answer for row in asked])
    return RowHashes(
        lines=array("q", [row.line for row in asked]),
        prompts=array("q", map(hash, prompts)),
        pairs=array("q", map(hash, zip(prompts, answers, strict=True))),
    )


class RepeatedPrompt(NamedTuple):
    """A row whose prompt was seen before."""

    line: int
    prompt: int
    """The first line with the same system prompt and prompt."""
    pair: int
    """The first line that also has the same answer; 0 when this line is the first."""


class FirstSeen:
    """Every row seen so far, in a hash table with open addressing."""

    def __init__(self) -> None:
        self._size(fewest_slots)
        self._held = 0
        self._others = FirstLines()

    def _size(self, slots: int) -> None:
        self._prompts, self._pairs, self._lines = (array("q", bytes(8 * slots)) for _ in range(3))
        self._mask = slots - 1

    def add(self, rows: RowHashes) -> Iterator[RepeatedPrompt]:
        """The rows whose prompts were seen before; all rows are recorded."""
        # Local names and an inlined look-up: this loop runs once per row of files with millions of rows.
        prompts, pairs, lines, mask = self._prompts, self._pairs, self._lines, self._mask
        for line, prompt, pair in zip(rows.lines, rows.prompts, rows.pairs, strict=True):
            slot = prompt & mask
            while lines[slot] and prompts[slot] != prompt:
                slot = (slot + 1) & mask
            first = lines[slot]
            if first:
                yield RepeatedPrompt(
                    line, first, first if pairs[slot] == pair else self._others.first(pair, line)
                )
                continue
            prompts[slot], pairs[slot], lines[slot] = prompt, pair, line
            self._held += 1
            # Linear probing slows down above a load of two thirds.
            if 3 * self._held > 2 * (mask + 1):
                self._grow()
                prompts, pairs, lines, mask = self._prompts, self._pairs, self._lines, self._mask

    def _grow(self) -> None:
        held = (self._prompts, self._pairs, self._lines)
        self._size(2 * len(self._lines))
        for prompt, pair, line in zip(*held, strict=True):
            if line:
                slot = prompt & self._mask
                while self._lines[slot]:
                    slot = (slot + 1) & self._mask
                self._prompts[slot], self._pairs[slot], self._lines[slot] = prompt, pair, line


class FirstLines:
    """A map from each hash to the line on which it was seen first."""

    def __init__(self, slots: int = fewest_slots) -> None:
        self._keys, self._lines = (array("q", bytes(8 * slots)) for _ in range(2))
        self._held = 0

    def first(self, key: int, line: int) -> int:
        """The line on which the hash was seen first; 0 for a new hash, which is recorded."""
        slot = self._slot(key)
        if not self._lines[slot]:
            self._keys[slot], self._lines[slot] = key, line
            self._held += 1
            if 3 * self._held > 2 * len(self._keys):
                self._grow()
            return 0
        return self._lines[slot]

    def _slot(self, key: int) -> int:
        mask = len(self._keys) - 1
        slot = key & mask
        while self._lines[slot] and self._keys[slot] != key:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        held: Sequence[array[int]] = (self._keys, self._lines)
        self._keys, self._lines = (array("q", bytes(16 * len(self._keys))) for _ in range(2))
        for key, line in zip(*held, strict=True):
            if line:
                slot = self._slot(key)
                self._keys[slot], self._lines[slot] = key, line
