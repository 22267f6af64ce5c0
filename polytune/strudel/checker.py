"""A static checker for Strudel code. It runs no code and has no dependencies.

It rejects what is certainly wrong (brackets, strings, mini-notation, unknown functions, sounds, banks and
notes, no sound at all) and accepts everything else, so it may pass code that the engine would fail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from polytune.strudel.grammar import (
    GrammarError,
    Token,
    TokenError,
    check_grammar,
    declared_names,
    read_tokens,
)
from polytune.strudel.mini import Mini, MiniError, read_mini
from polytune.strudel.vocabulary import Sounds, functions, javascript

# Increase it when a change to the checker or the word lists changes verdicts: it is part of the cache key.
checker_version = 1
# Characters. Real patterns have a few hundred; this bounds the time spent on a runaway answer.
longest = 100_000
note = re.compile(r"[a-gA-G][#bsf]*-?\d*|-?\d+(\.\d+)?")
scale_step = re.compile(r"-?\d+(\.\d+)?[#bs]*|" + note.pattern)
sources = frozenset({"s", "sound", "note", "n", "freq", "chord", "scale", "voicing"})
sounding = sources | {"midi", "as", "wt", "voicings", "piano"}


@dataclass(frozen=True)
class Checked:
    """The checker's result: no problem, or the first one."""

    reason: str = ""
    """The problem; '' for none."""
    stage: str = "done"
    """The stage that found it: parse, mini, names, sound, silent."""


class _CheckFailed(Exception):
    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(reason)
        self.stage = stage


def check(code: str, known: Sounds) -> Checked:
    """The first problem of a program, if it has one."""
    if len(code) > longest:
        return Checked(f"{len(code):,} characters are too long for a pattern", "parse")
    try:
        tokens = read_tokens(code)
        check_grammar(tokens)
        _Checker(tokens, known).run()
    except (TokenError, GrammarError) as error:
        return Checked(str(error), "parse")
    except _CheckFailed as wrong:
        return Checked(str(wrong), wrong.stage)
    return Checked()


class _Checker:
    """Checks the tokens of one program."""

    def __init__(self, tokens: Sequence[Token], known: Sounds) -> None:
        self.tokens = tokens
        self.known = known
        self.declared = declared_names(tokens)
        self.registered = self._registered()
        # `samples(...)` loads sounds whose names only its server knows, so any name may be right.
        self.loads_samples = any(token.text == "samples" for token in tokens)
        self.events = 0
        self.rests = 0

    def run(self) -> None:
        for index, token in enumerate(self.tokens):
            if token.kind == "name":
                self._name(index, token)
            elif self._is_mini(index, token):
                self._mini(index, token)
            elif token.kind == "string":
                self._plain(index, token)
        if not any(token.text in sounding for token in self.tokens if token.kind == "name"):
            raise _CheckFailed("sound", "nothing makes a sound: s(...) or note(...) is missing")
        if self.rests and not self.events:
            raise _CheckFailed("silent", "there are only rests")

    def _at(self, index: int) -> Token | None:
        return self.tokens[index] if 0 <= index < len(self.tokens) else None

    def _is(self, index: int, *signs: str) -> bool:
        token = self._at(index)
        return token is not None and token.is_sign(*signs)

    # -- names ----------------------------------------------------------------------------------------

    def _name(self, index: int, token: Token) -> None:
        if self._is(index - 1, ".", "?."):
            self._member(index, token)
        elif not self._is_free(index, token):
            called = self._is(index + 1, "(")
            raise _CheckFailed(
                "names", f"unknown {'function' if called else 'name'} {token.text} on line {token.line}"
            )

    def _is_free(self, index: int, token: Token) -> bool:
        """Whether a name that is not a member is defined, or is the key of an object."""
        name = token.text
        known = javascript().calls(name) or name in self.declared or functions().calls(name)
        return known or self._is(index + 1, ":")

    def _member(self, index: int, token: Token) -> None:
        name = token.text
        if functions().chains(name) or javascript().chains(name) or name in self.registered:
            return
        # Methods of JavaScript's own objects, or of the program's variables, are not Strudel's to know.
        owner = self._at(index - 2)
        if owner is not None and (javascript().calls(owner.text) or owner.text in self.declared):
            return
        raise _CheckFailed("names", f"unknown method .{name} on line {token.line}")

    def _registered(self) -> frozenset[str]:
        """Methods that the program defines: `register('x', ...)`, `Pattern.prototype.x = ...`."""
        found = set()
        for index, token in enumerate(self.tokens):
            if token.text == "register" and self._is(index + 1, "("):
                # `register` also takes a list of names. Ten tokens are enough for the lists people write, and
                # taking a string too many only makes the checker more lenient.
                names = self.tokens[index + 2 : index + 12]
                found |= {name.content for name in names if name.kind == "string"}
            if token.text == "prototype" and self._is(index + 1, "."):
                found.add(self.tokens[index + 2].text if index + 2 < len(self.tokens) else "")
        return frozenset(found)

    # -- mini-notation --------------------------------------------------------------------------------

    def _is_mini(self, index: int, token: Token) -> bool:
        """Whether Strudel parses a string as mini-notation: double quotes and backticks, with exceptions."""
        if token.kind == "template":
            return "${" not in token.text and not self._is_tag(index - 1)
        if token.kind != "string" or self._is(index + 1, ":") or self._call(index) in ("samples", "register"):
            return False
        return token.text.startswith('"')

    def _is_tag(self, index: int) -> bool:
        before = self._at(index)
        return before is not None and before.kind == "name" and not javascript().calls(before.text)

    def _call(self, index: int) -> str:
        """The function whose first argument starts with this token; '' for none."""
        name = self._at(index - 2)
        return name.text if self._is(index - 1, "(") and name is not None and name.kind == "name" else ""

    def _sole_argument(self, index: int) -> str:
        return self._call(index) if self._is(index + 1, ")") else ""

    def _mini(self, index: int, token: Token) -> None:
        try:
            mini = read_mini(token.content)
        except MiniError as error:
            raise _CheckFailed("mini", f"mini-notation '{_short(token.content)}': {error}") from None
        call = self._sole_argument(index)
        # Only a string that is the sole argument is certain to hold sounds or notes.
        judge = self._judge_of(call)
        if judge is not None and not self._is_followed_by_structure(index):
            self._words(mini, judge)
        if call in sources:
            self.events += len(mini.words)
            self.rests += mini.rests

    def _plain(self, index: int, token: Token) -> None:
        """A single-quoted string is one value, spaces included, not mini-notation."""
        judge = self._judge_of(self._sole_argument(index))
        if judge is not None and (problem := judge(token.content.partition(":")[0])):
            raise _CheckFailed("sound", problem)
        self.events += 1

    def _is_followed_by_structure(self, index: int) -> bool:
        """Whether the words are keys, not sounds: `"<a b>".pick({a: ..., b: ...})`."""
        following = self._at(index + 3)
        return (
            self._is(index + 2, ".")
            and following is not None
            and following.text.startswith(("pick", "inhabit"))
        )

    def _judge_of(self, call: str) -> Callable[[str], str] | None:
        match call:
            case "s" | "sound":
                return self._sound_problem
            case "note":
                return lambda word: "" if note.fullmatch(word) else f'"{word}" is not a note'
            case "n":
                return lambda word: "" if scale_step.fullmatch(word) else f'n is "{word}", not a number'
            case "bank":
                return self._bank_problem
            case _:
                return None

    def _words(self, mini: Mini, judge: Callable[[str], str]) -> None:
        for word in mini.words:
            if problem := judge(word):
                raise _CheckFailed("sound", problem)

    def _sound_problem(self, word: str) -> str:
        return "" if self.loads_samples or self.known.has(word) else f'unknown sound "{word}"'

    def _bank_problem(self, word: str) -> str:
        known = self.loads_samples or word.lower() in self.known.banks
        return "" if known else f'unknown bank "{word}"'


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
