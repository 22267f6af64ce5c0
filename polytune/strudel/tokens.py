"""The words of JavaScript code, as far as Strudel programs use the language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["name", "number", "string", "template", "sign"]

pieces = re.compile(
    r"""
      (?P<space>[\s\ufeff]+)
    | (?P<comment>//[^\n]*|/\*.*?\*/)
    | (?P<number>(?:0[xXbBoO][\da-fA-F_]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)n?)
    | (?P<name>[A-Za-z_$][\w$]*)
    | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    | (?P<template>`(?:[^`\\]|\\.)*`)
    | (?P<sign>(?!/\*)
        (?:=>|\.\.\.|\?\.|\*\*|[-+*/%&|^]=|&&|\|\||\?\?|[=!]==?|[<>]=?|\+\+|--|[-+*/%=!?:;,.(){}\[\]&|^~]))
    """,
    re.VERBOSE | re.DOTALL,
)


class TokenError(Exception):
    """The code holds something that is no word of JavaScript; says what and on which line."""


@dataclass(frozen=True)
class Token:
    """One word of code."""

    kind: Kind
    text: str
    line: int
    after_break: bool
    """Whether a line break stands before it."""

    @property
    def content(self) -> str:
        """What stands between a string's quotes."""
        return self.text[1:-1]

    def is_sign(self, *signs: str) -> bool:
        """Whether it is one of these signs."""
        return self.kind == "sign" and self.text in signs


def read_tokens(code: str) -> list[Token]:
    """The tokens of a program, comments left out. Raises TokenError at the first thing that is none."""
    return list(_tokens(code))


def _tokens(code: str) -> Iterator[Token]:
    at, line, after_break = 0, 1, True
    while at < len(code):
        found = pieces.match(code, at)
        if found is None:
            raise TokenError(f"{_problem(code[at])} on line {line}")
        text, kind = found[0], found.lastgroup
        if kind in ("space", "comment"):
            after_break = after_break or "\n" in text
        else:
            yield Token(_kind(kind), text, line, after_break)
            after_break = False
        line += text.count("\n")
        at = found.end()


def _kind(group: str | None) -> Kind:
    match group:
        case "name" | "number" | "string" | "template" | "sign":
            return group
        case _:
            raise AssertionError(group)


def _problem(sign: str) -> str:
    if sign in "\"'`":
        return f"a string that {sign} opens is not closed"
    if sign == "/":
        return "a comment is not closed"
    return f"unexpected '{sign}'"
