"""The names that Strudel knows: functions, methods, sounds and banks, from the word lists in `words/`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

# Strudel generates these names (fm2, fmh31, ...), so they are a pattern instead of a list.
numbered_fm = re.compile(r"fm[a-z]*[0-8]{1,2}")


@dataclass(frozen=True)
class Sounds:
    """All sounds and banks that can be played without loading them, in lower case."""

    names: frozenset[str]
    drums: frozenset[str]
    banks: frozenset[str]

    def has(self, sound: str) -> bool:
        """Whether `s(sound)` plays something without a bank. Wavetables (`wt_...`) always do."""
        name = sound.lower()
        bank, _, drum = name.rpartition("_")
        return name in self.names or name.startswith("wt_") or (bank in self.banks and drum in self.drums)

    def and_also(self, more: Iterable[str]) -> Sounds:
        """These sounds plus the given ones."""
        return Sounds(self.names | {name.lower() for name in more}, self.drums, self.banks)


@dataclass(frozen=True)
class Functions:
    """Names that code may use as functions, and names that it may use as methods."""

    functions: frozenset[str]
    methods: frozenset[str]

    def calls(self, name: str) -> bool:
        """Whether `name(...)` is defined."""
        return name in self.functions or bool(numbered_fm.fullmatch(name))

    def chains(self, name: str) -> bool:
        """Whether `.name(...)` is defined."""
        return name in self.methods or bool(numbered_fm.fullmatch(name))


@cache
def sounds() -> Sounds:
    """The sounds of the word list."""
    lists = _sections("sounds.txt")
    drums = frozenset(lists["drums"])
    banks = frozenset(name.lower() for name in (*lists["banks"], *lists["bank aliases"]))
    groups = ("synths", "instruments", "samples", "soundfonts")
    names = drums.union(*(lists[group] for group in groups))
    return Sounds(frozenset(name.lower() for name in names), drums, banks)


@cache
def functions() -> Functions:
    """The functions and methods of the word list."""
    lists = _sections("functions.txt")
    return Functions(
        frozenset((*lists["both"], *lists["functions"], *lists["editor functions"])),
        frozenset((*lists["both"], *lists["methods"], *lists["editor methods"])),
    )


@cache
def javascript() -> Functions:
    """JavaScript's own names: globals and keywords as functions, and methods."""
    return Functions(javascript_words("globals") | javascript_words("keywords"), javascript_words("methods"))


@cache
def javascript_words(section: str) -> frozenset[str]:
    """One section of the JavaScript word list."""
    return frozenset(_sections("javascript.txt")[section])


def editor_names() -> tuple[frozenset[str], frozenset[str]]:
    """The functions and the methods that the editor adds to Strudel's packages."""
    lists = _sections("functions.txt")
    return frozenset(lists["editor functions"]), frozenset(lists["editor methods"])


def _sections(file: str) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    current: list[str] = []
    # Text files, not Python: they are lists that a person compares with Strudel's packages at each upgrade.
    for line in files(__package__).joinpath("words", file).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            current = found.setdefault(line.strip("[]"), [])
        elif not line.startswith("#"):
            current.extend(line.split())
    return found
