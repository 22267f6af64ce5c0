"""Messages of ours that quote another library: our part is asserted, theirs may change with any release."""

from __future__ import annotations

import re

THEIRS = "<their words>"
"""Stands for the words of another library in an expected message."""


def with_their_words(expected: str, told: str) -> str:
    """`told` itself when it is `expected` with some words in the place of each THEIRS; else `expected`."""
    pattern = ".+".join(map(re.escape, expected.split(THEIRS)))
    return told if re.fullmatch(pattern, told) else expected
