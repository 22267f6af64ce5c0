"""Texts as sets of overlapping eight-byte windows, and the similarity of two such sets.

    "Play a  Beat" -> playabeat -> {playabea, layabeat}

Case and ASCII whitespace are ignored. Windows are taken from the bytes in eight strides, not one by one, so a
text costs microseconds. They do not depend on words, so they work for code and every script. Eight bytes are
about a word and a half of English: changing one word in a hundred leaves a likeness near 0.97.
"""

from __future__ import annotations

import random
from array import array

from polytune.data.hashes import whitespace

window_bytes = 8
_shuffled = list(range(256))
random.Random(8).shuffle(_shuffled)
alphabet = bytes(_shuffled)
"""A permutation of the byte values, so that windows are good hashes although text uses few of them."""


def normalised(text: str) -> bytes:
    """The text's bytes in lower case, without whitespace, in the shuffled alphabet."""
    return text.lower().encode(errors="replace").translate(alphabet, whitespace)


def windows(text: str) -> array[int]:
    """Every window of a text; see `windows_of`."""
    return windows_of(normalised(text))


def windows_of(content: bytes) -> array[int]:
    """Every window of a normalised text as a 64-bit number, repeats included.

    A text shorter than a window is padded to one; an empty text has none.
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
    """The Jaccard index: shared windows divided by all windows, 0 to 1; 1 for two empty sets."""
    shared = len(one & other)
    together = len(one) + len(other) - shared
    return shared / together if together else 1.0
