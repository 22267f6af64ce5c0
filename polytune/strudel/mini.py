"""A parser for Strudel's mini-notation: checks whether a string is valid, and collects its words.

pattern   sequence ("," sequence)+ | sequence ("|" sequence)+ | sequence ("." sequence)+ | sequence
sequence  element+                   element   slice operator*
slice     word  [pattern]  <layers>  {layers}%slice
operator  *slice  /slice  :slice  ..slice  !number?  @number?  _  ?number?  (element,element,element?)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# Both limits keep answers from exhausting stack or time: the parser is recursive, and "bd*1000000" makes the
# engine create as many events.
deepest = 60
most_repeats = 10_000
spaces = " \t\r\n\u00a0"
word_signs = "~-#.^_"
number = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
closers = {"[": "]", "<": ">", "{": "}"}


class MiniError(Exception):
    """The string is not valid mini-notation. The message has the reason and the character, counted from 1."""


@dataclass
class Mini:
    """The content of a mini-notation string."""

    words: list[str] = field(default_factory=list)
    """The words that become events, in order, without rests and arguments of operators."""
    rests: int = 0


def read_mini(text: str) -> Mini:
    """Parses a mini-notation string. Raises MiniError if it is invalid."""
    reader = _MiniReader(text)
    reader.skip()
    reader.pattern("")
    reader.skip()
    if reader.at < len(text):
        raise reader.error(f"unexpected '{text[reader.at]}'")
    return reader.found


class _MiniReader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.found = Mini()

    def error(self, what: str) -> MiniError:
        return MiniError(f"{what} at character {self.at + 1}")

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in spaces:
            self.at += 1

    def accept(self, sign: str) -> bool:
        if self.text.startswith(sign, self.at):
            self.at += len(sign)
            return True
        return False

    def pattern(self, closer: str) -> None:
        """One sequence, or several joined by one kind of separator. In layers only the comma is allowed."""
        self.sequence()
        joint = ""
        while (sign := self.peek()) and sign in (",|." if closer in ("", "]") else ","):
            if joint and sign != joint:
                raise self.error(f"'{joint}' and '{sign}' need brackets to stand together")
            joint = sign
            self.at += 1
            self.sequence()

    def sequence(self) -> None:
        self.skip()
        if self.accept("^"):
            self.skip()
        self.element()
        while self.peek() and (self.peek() not in ",|]>})" and not self.is_foot()):
            self.element()

    def is_foot(self) -> bool:
        """Whether a single full stop follows, which separates groups."""
        following = self.text[self.at + 1 : self.at + 2]
        return self.peek() == "." and not _in_word(following)

    def element(self) -> None:
        self.slice(named=True)
        while self.operator():
            self.skip()

    def slice(self, *, named: bool) -> None:
        """Parses one slice. Its words are collected if `named`, but not in the argument of an operator."""
        self.skip()
        opener = self.peek()
        if opener in closers:
            self.group(opener, named=named)
        elif _in_word(opener):
            self.word(named=named)
        else:
            what = f"unexpected '{opener}'" if opener else "something is missing"
            raise self.error(what)
        self.skip()

    def group(self, opener: str, *, named: bool) -> None:
        self.depth += 1
        if self.depth > deepest:
            raise self.error("too many brackets inside each other")
        self.at += 1
        # Words in an operator's argument are not events: collect them in an object that is thrown away.
        outside, self.found = self.found, self.found if named else Mini()
        self.pattern(closers[opener])
        self.found = outside
        if not self.accept(closers[opener]):
            raise self.error(f"'{opener}' is not closed by '{closers[opener]}'")
        if opener == "{" and self.accept("%"):
            self.slice(named=False)
        self.depth -= 1

    def word(self, *, named: bool) -> None:
        start = self.at
        while self.at < len(self.text) and _in_word(self.text[self.at]):
            self.at += 1
        word = self.text[start : self.at]
        # Both are made of word characters but are operators here; as a word they would be an unknown sound.
        if word in (".", "_"):
            self.at = start
            raise self.error(f"unexpected '{word}'")
        if named and word in ("~", "-"):
            self.found.rests += 1
        elif named:
            self.found.words.append(word)

    def operator(self) -> bool:
        """Parses an operator if one follows, and tells whether it did."""
        if self.accept(".."):
            self.slice(named=False)
        elif self.peek() in ("*", "/", ":") and self.peek():
            self.factor()
        elif self.peek() in ("!", "@", "?") and self.peek():
            self.at += 1
            self.count()
        elif self.peek() == "_" and not _in_word(self.text[self.at + 1 : self.at + 2]):
            self.at += 1
        elif self.accept("("):
            self.euclid()
        else:
            return False
        return True

    def factor(self) -> None:
        sign = self.peek()
        self.at += 1
        self.skip()
        amount = number.match(self.text, self.at)
        if sign == "*" and amount and float(amount[0]) > most_repeats:
            raise self.error(f"'*{amount[0]}' repeats too often")
        self.slice(named=False)

    def count(self) -> None:
        amount = number.match(self.text, self.at)
        if amount:
            if float(amount[0]) > most_repeats:
                raise self.error(f"{amount[0]} is too many")
            self.at = amount.end()

    def euclid(self) -> None:
        outside, self.found = self.found, Mini()
        self.skip()
        self.element()
        arguments = 1
        while self.accept(","):
            self.skip()
            arguments += 1
            if self.peek() != ")":
                self.element()
        self.found = outside
        if arguments not in (2, 3):
            raise self.error("'(' takes two or three values, as in (3,8) or (3,8,2)")
        if not self.accept(")"):
            raise self.error("'(' is not closed by ')'")


def _in_word(sign: str) -> bool:
    return bool(sign) and (sign.isalpha() or sign in "0123456789" or sign in word_signs)
