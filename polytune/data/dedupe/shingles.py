"""Texts as sets of overlapping eight-byte windows, and how much two such sets have in common.

    "Play a  Beat" -> playabeat -> {playabea, layabeat}

Case and ASCII whitespace never count. Windows are read off the bytes in eight strides, not one by one, so
a text costs microseconds; they need no notion of a word and serve code and every script alike. Eight bytes
are about a word and a half of English: one word changed in a hundred leaves a likeness near 0.97.
"""

from __future__ import annotations

import random
from array import array

from polytune.data.hashes import whitespace

window_bytes = 8
_shuffled = list(range(256))
random.Random(8).shuffle(_shuffled)
alphabet = bytes(_shuffled)
"""Bytes under another name each, so that windows make good hashes although text uses few bytes."""


def normalised(text: str) -> bytes:
    """The text's bytes without case and whitespace, in the other alphabet."""
    return text.lower().encode(errors="replace").translate(alphabet, whitespace)


def windows(text: str) -> array[int]:
    """Every window of a text; see `windows_of`."""
    return windows_of(normalised(text))


def windows_of(content: bytes) -> array[int]:
    """Every window of a normalised text as 64 bits, repeats included; at least one, of a short text padded.

    Only an empty one has none.
    """
    size = len(content)
    found = array("Q")
    if size < window_bytes:
        if content:
            found.frombytes(content.ljust(window_bytes, b"\0"))
        return found
    # The windows at offsets 0, 8, 16 ... are the bytes themselves, read as 64-bit numbers.
    for start in range(min(window_bytes, size - window_bytes + 1)):
        found.frombytes(content[start : start + (size - start) // window_bytes * window_bytes])
    return found


def likeness(one: set[int], other: set[int]) -> float:
    """Jaccard's: shared windows over all windows of both, 0 to 1; 1 of two empty sets."""
    shared = len(one & other)
    together = len(one) + len(other) - shared
    return shared / together if together else 1.0
