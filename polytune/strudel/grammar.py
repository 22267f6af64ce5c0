"""Tokenizes Strudel programs as JavaScript, and checks that the tokens have the structure of a program."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from polytune.strudel.vocabulary import javascript_words

Kind = Literal["name", "number", "string", "template", "sign"]

# No regular expression literals: without a full parser `/` is ambiguous, and patterns do not use them.
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
    """The code contains something that is not a JavaScript token. The message has problem and line."""


@dataclass(frozen=True)
class Token:
    """One token of code."""

    kind: Kind
    text: str
    line: int
    after_break: bool
    """Whether a line break precedes it."""

    @property
    def content(self) -> str:
        """The text between the quotes of a string."""
        return self.text[1:-1]

    def is_sign(self, *signs: str) -> bool:
        """Whether the token is one of these signs."""
        return self.kind == "sign" and self.text in signs


def read_tokens(code: str) -> list[Token]:
    """The tokens of a program, without comments. Raises TokenError at the first invalid one."""
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


pairs = {"(": ")", "[": "]", "{": "}"}
deepest = 200


class GrammarError(Exception):
    """The tokens do not form a program. The message has the problem and the line."""


def check_grammar(tokens: Sequence[Token]) -> None:
    """Raises GrammarError unless the tokens form a program that ends in an expression."""
    if not tokens:
        raise GrammarError("there is no code")
    _check_brackets(tokens)
    _check_words(tokens)
    # After `if (...)` an operand may follow a bracket, so check programs with these words less strictly.
    plain = not any(token.text in ("if", "for") for token in tokens)
    for before, token in pairwise(tokens):
        _check_neighbours(before, token, plain=plain)
    _check_ends(tokens)


def declared_names(tokens: Sequence[Token]) -> frozenset[str]:
    """The names that the program declares: variables, functions, parameters."""
    return frozenset(_declared(tokens))


def _declared(tokens: Sequence[Token]) -> Iterator[str]:
    for index, token in enumerate(tokens):
        if token.text in ("let", "const", "var"):
            yield from _until_value(tokens, index + 1)
        elif token.text == "function":
            yield from _parameters(tokens, index + 1)
        elif token.is_sign("=>"):
            yield from _before_arrow(tokens, index - 1)


def _until_value(tokens: Sequence[Token], start: int) -> Iterator[str]:
    """The names in a declaration, including those after commas."""
    depth, naming = 0, True
    for token in tokens[start:]:
        depth += token.is_sign(*pairs) - token.is_sign(*pairs.values())
        # A closing bracket ends the declaration in `for (let i = 0; ...)` and in a block without semicolons.
        if depth < 0 or token.is_sign(";"):
            return
        if token.is_sign("=") and depth == 0:
            naming = False
        elif token.is_sign(",") and depth == 0:
            naming = True
        elif token.text in ("let", "const", "var", "of"):
            return
        elif naming and token.kind == "name":
            yield token.text


def _parameters(tokens: Sequence[Token], start: int) -> Iterator[str]:
    for token in tokens[start:]:
        if token.is_sign("{"):
            return
        if token.kind == "name":
            yield token.text


def _before_arrow(tokens: Sequence[Token], index: int) -> Iterator[str]:
    if tokens[index].kind == "name":
        yield tokens[index].text
    depth = 0
    while index >= 0 and (depth or tokens[index].is_sign(")")):
        depth += tokens[index].is_sign(*pairs.values()) - tokens[index].is_sign(*pairs)
        if tokens[index].kind == "name":
            yield tokens[index].text
        index -= 1


def _check_brackets(tokens: Sequence[Token]) -> None:
    opened: list[Token] = []
    for token in tokens:
        if token.is_sign(*pairs):
            opened.append(token)
            if len(opened) > deepest:
                raise GrammarError(f"too many brackets inside each other on line {token.line}")
        elif token.is_sign(*pairs.values()):
            if not opened:
                raise GrammarError(f"'{token.text}' on line {token.line} closes nothing")
            last = opened.pop()
            if pairs[last.text] != token.text:
                raise GrammarError(f"'{last.text}' on line {last.line} is closed by '{token.text}'")
    if opened:
        raise GrammarError(f"'{opened[-1].text}' on line {opened[-1].line} is not closed")


def _check_words(tokens: Sequence[Token]) -> None:
    for index, token in enumerate(tokens):
        behind_dot = index > 0 and tokens[index - 1].is_sign(".", "?.")
        if token.kind == "name" and token.text in javascript_words("not strudel") and not behind_dot:
            raise GrammarError(f"'{token.text}' on line {token.line} is not part of Strudel")


def _check_neighbours(before: Token, token: Token, *, plain: bool) -> None:
    # A line break between two operands may be the end of a statement: JavaScript inserts the semicolon.
    two_operands = plain and _ends_operand(before) and _starts_operand(token) and not token.after_break
    no_member = before.is_sign(".") and token.kind != "name"
    if two_operands or no_member or _is_gap(before, token):
        raise _unexpected(token)


def _is_gap(before: Token, token: Token) -> bool:
    """Whether an operand is missing between two signs."""
    if before.is_sign(";", "{") and token.is_sign(";"):
        return False
    if token.is_sign(",", ")", "]", "}"):
        return _wants_operand(before) or (before.is_sign(",") and token.is_sign(","))
    opens = _wants_operand(before) or before.is_sign("(", "[", ",", "{", ";")
    return opens and (_is_two_sided(token) or token.is_sign(";"))


def _ends_operand(token: Token) -> bool:
    if token.kind == "name":
        before_operand = token.text in javascript_words("before an operand")
        return not before_operand and token.text not in javascript_words("between operands")
    return token.kind in ("number", "string", "template") or token.is_sign(")", "]")


def _starts_operand(token: Token) -> bool:
    if token.kind == "name":
        return token.text not in javascript_words("between operands")
    return token.kind in ("number", "string")


def _wants_operand(token: Token) -> bool:
    """Whether an operand must follow the token. An operator without one is an error."""
    return _is_two_sided(token) or token.is_sign("+", "-", "!", "~", "...")


def _is_two_sided(token: Token) -> bool:
    return token.kind == "sign" and token.text in javascript_words("two-sided signs")


def _check_ends(tokens: Sequence[Token]) -> None:
    if _is_two_sided(tokens[0]) or tokens[0].is_sign(","):
        raise _unexpected(tokens[0])
    last = tokens[-1]
    if _wants_operand(last) or last.is_sign(","):
        raise GrammarError(f"something is missing after '{last.text}' on line {last.line}")
    if (start := _last_statement(tokens)).text in javascript_words("no ending"):
        raise GrammarError(f"the last statement, '{start.text}' on line {start.line}, is not a pattern")


# The last statement must be a pattern: Strudel plays the value of the last expression.
def _last_statement(tokens: Sequence[Token]) -> Token:
    start, depth = tokens[0], 0
    for before, token in pairwise(tokens):
        depth += before.is_sign(*pairs) - before.is_sign(*pairs.values())
        broken = token.after_break and (_ends_operand(before) or before.is_sign("}"))
        if depth == 0 and (
            before.is_sign(";") or (broken and (_starts_operand(token) or token.kind == "template"))
        ):
            start = token
    return start


def _unexpected(token: Token) -> GrammarError:
    return GrammarError(f"unexpected {token.text[:40]} on line {token.line}")
