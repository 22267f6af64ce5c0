"""How a command line runs Python: its options, and the script, module or code that it starts."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

interpreter = re.compile(r"(python|pypy)[\d.]*t?")
with_argument = "WX"
"""Options that take the next word unless something follows them in their own."""
unobservable = frozenset("IES")
"""Options that keep Python from reading PYTHONPATH or importing `sitecustomize`."""


@dataclass(frozen=True)
class PythonWords:
    """The words of one call of Python."""

    options: frozenset[str] = frozenset()
    """The letters of its options."""
    script: str = ""
    module: str = ""
    code: str = ""

    @property
    def is_observable(self) -> bool:
        """Whether what the program reads can be observed."""
        return not self.options & unobservable


def python_calls(words: Sequence[str]) -> list[PythonWords]:
    """Return every call of Python among some words, in order."""
    places = [place for place, word in enumerate(words) if is_python(word)]
    return [_parsed(words[place + 1 :]) for place in places]


def is_python(word: str) -> bool:
    """Whether a word is a Python interpreter by its name."""
    return interpreter.fullmatch(os.path.basename(word)) is not None


def shebang_words(path: Path) -> PythonWords | None:
    """Return how a script's first line runs Python; None when it does not."""
    try:
        with path.open("rb") as file:
            line = file.readline(512)
    except OSError:
        return None
    if not line.startswith(b"#!"):
        return None
    calls = python_calls([*line[2:].decode(errors="replace").split(), str(path)])
    return calls[0] if calls else None


def _parsed(words: Sequence[str]) -> PythonWords:
    options: set[str] = set()
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word.startswith("--"):
            # The only long option with an argument of its own.
            del rest[: word == "--check-hash-based-pycs"]
            continue
        for place, letter in enumerate(word[1:], start=1):
            options.add(letter)
            if letter in "mc":
                value = word[place + 1 :] or (rest[0] if rest else "")
                found = frozenset(options)
                return PythonWords(found, module=value) if letter == "m" else PythonWords(found, code=value)
            if letter in with_argument:
                del rest[: not word[place + 1 :]]
                break
    return PythonWords(frozenset(options), script=rest[0] if rest else "")
