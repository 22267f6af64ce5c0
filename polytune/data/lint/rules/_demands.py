"""Detects which form of answer a prompt demands; English prompts only.

Only a firm demand counts: an instruction to the answering model. These are not demands: a question ("How do I
make it answer in JSON?"), a condition ("if it fails, return JSON"), a negation ("do not answer in JSON"), a
quotation, a choice ("JSON or plain text"), and a requirement for a program to be written ("a function that
returns JSON").
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple


class Demand(NamedTuple):
    """What a prompt demands of the answer's form; all False for no demand."""

    json: bool = False
    """The whole answer must be JSON."""
    holds_json: bool = False
    """The answer must contain JSON; text around it is allowed."""
    json_lines: bool = False
    """One JSON value per line is allowed."""
    code: bool = False
    """The answer must be code and nothing else."""
    fences: bool = False
    """Code fences are requested or allowed."""

    def together(self, other: Demand) -> Demand:
        """The union of both demands."""
        return Demand(*(mine or theirs for mine, theirs in zip(self, other, strict=True)))


nothing = Demand()
apostrophe = "\u2019"


def _any_of(*words: str) -> str:
    return f"(?:{'|'.join(words)})"


_fillers = _any_of(
    *("an?", "the", "one", "single", "only", "just", "valid", "strict", "raw", "pure", "plain", "proper"),
    *("well-formed", "compact", "minified", "flat", "nested", "following", "your", "correct", "parsable"),
)
_kinds = _any_of(
    "object", "array", "list", "dict(?:ionary)?", "string", "value", "document", "format", "blob"
)
_json = rf"(?:{_fillers}\s+)*json(?:[ -]?(?:lines|l)\b)?(?:[ -]{_kinds})?\b"
_begin = r"(?:^|[.!?:;\n(]\s*(?:[-*•]\s*|\d+[.)]\s*)?)"
_ordered = rf"(?:{_begin}|\b(?:please|and|then|you\s+must|you\s+should|always)\s+)"
_solely = r"(?:only|just|always|strictly|exclusively|solely|nothing\s+but)"
_must = r"(?:must|should|shall|has\s+to|have\s+to|needs?\s+to|is\s+to|are\s+to|will)"
_to_whom = r"(?:(?:to\s+)?(?:me|us|the\s+user|(?:each|every|all|any)\s+\w+)\s+)?"
_say = r"(?:respond|reply|answer|output|return|print|emit)"
_make = r"(?:give|provide|produce|generate|write|create|build)"
_form = _any_of(
    *("give", "provide", "produce", "generate", "write", "create", "format", "extract", "list", "classify"),
    *("summari[sz]e", "describe", "identify", "label", "tag", "annotate", "report", "present", "express"),
    *("render", "state", "convert", "translate", "transform", "turn", "show", "return", "output", "print"),
)
_json_orders = re.compile(
    "|".join(
        (
            rf"\b{_say}\s+{_to_whom}(?:{_solely}\s+)?(?:(?:with|in|as|using|by)\s+)?{_json}",
            rf"\b(?:respond|reply|answer|output)\s+(?:[\w-]+\s+){{0,8}}?(?:in|as|with|using)\s+{_json}",
            rf"\b(?:response|answer|output|reply|result)s?\s+{_must}\s+(?:\w+\s+)?be\s+(?:\w+\s+)?"
            rf"(?:(?:in|as|formatted\s+as)\s+)?{_json}",
            rf"\b(?:output|response|answer|reply)(?:\s+format)?\s*[:=]\s*{_json}",
            rf"(?:{_begin}|\b(?:with|and|please|then)\s+){_solely}\s+"
            rf"(?:(?:return|output|respond\s+with|give|write|use)\s+)?{_json}",
            r"\bjson(?:\s+object)?\s+only\b",
            rf"(?P<form>{_ordered}{_form}\b[^.!?\n]{{0,120}}?\b(?:as|in|into|to)\s+{_json})",
            rf"(?P<make>{_ordered}{_make}\s+(?:(?:me|us)\s+)?{_json})",
        )
    ),
    re.IGNORECASE,
)
"""The two orders with group names allow text next to the JSON."""

_programs = _any_of(
    *("function", "method", "script", "program", "endpoint", "api", "server", "service", "class", "cli"),
    *("handler", "route", "library", "module", "parser", "app", "application", "code", "component", "query"),
    *("regex", "command", "middleware", "decorator", "test", "schema"),
)
_programming = re.compile(
    r"\b(?:write|create|build|implement|make|develop|code|design|add|fix|refactor|generate|complete)\b"
    rf"[^.!?\n]{{0,80}}?\b{_programs}s?\b",
    re.IGNORECASE,
)
"""A program is to be written: what it returns, prints or outputs says nothing about the answer's form."""
_answering = re.compile(r"\b(?:respond|reply|answer|responses?|answers?)\b", re.IGNORECASE)
_subject_after = re.compile(
    r"\s*-?"
    + _any_of(
        *(
            "parser",
            r"seriali[sz]\w+",
            "schema",
            r"\w*coder",
            r"librar\w+",
            "files?",
            "api",
            "endpoint",
            "web",
        ),
        *("validator", "module", "class", "function", "path", "pointer", "patch", "injection", "column"),
        *("field", r"lint\w*", "viewer", "editor", "tutorial", r"to\s+\w+", r"(?:is|are|was|does|has|can)\b"),
        r"and\s+(?:explain|then\s+explain|an?)\b",
    ),
    re.IGNORECASE,
)
_open_after = re.compile(r"\s*(?:or|vs\.?|versus)\b", re.IGNORECASE)
_condition = re.compile(
    r"\b(?:if|when|whenever|unless|where|once|in\s+case|except|asked\s+for)\b", re.IGNORECASE
)
_refusal = re.compile(
    r"\b(?:do\s+not|don't|never|not|without|avoid|rather\s+than|instead\s+of|no|cannot|can't)"
    r"\s+(?:\w+\s+){0,3}$",
    re.IGNORECASE,
)
_question = re.compile(
    r"\s*(?:so\s+|and\s+|but\s+)?"
    r"(?:how|what|why|which|when|where|who|whose|does|do|did|is|are|was|were|should|has|have)\b",
    re.IGNORECASE,
)
_others_doing = re.compile(
    r"\b(?:it|they|he|she|which|that|who|to|will|would|models?|llms?)\s+(?:\w+\s+)?$", re.IGNORECASE
)
_sentence_end = re.compile(r"[.!?](?=\s|$)|\n")

_tongues = _any_of(
    *("python", "javascript", "typescript", "strudel", "sql", "java", "rust", "go", "bash", "shell", "html"),
    *("css", "ruby", "php", r"c\+\+", "c", "regex", "yaml", "xml", "tidal", "source", "raw", "plain", "the"),
    *("an?", "one", "valid", "single", "final", "resulting", "corrected", "complete", "runnable", "working"),
    *("executable", "actual", "your", "pattern"),
)
_piece = _any_of(
    *("code", "expression", "quer(?:y|ies)", "pattern", "snippet", "program", "script", "statement"),
    *("command", "source", "function", "sql", "regex"),
)
_code = rf"(?:{_tongues}\s+)*{_piece}\b"
_give = r"(?:respond|reply|answer|output|return|write|give|provide|produce|print|emit|send)"
_not_only = (
    r"(?!\s+(?:if|when|where|after|for|runs?|works?|needs?|uses?|supports?|once|in|on|has|accepts?)\b)"
)
_code_orders = re.compile(
    "|".join(
        (
            rf"\b{_piece}\s+only\b{_not_only}",
            rf"\b{_give}\s+(?:(?:me|us)\s+)?(?:with\s+)?{_solely}\s+(?:with\s+)?{_code}",
            rf"\bonly\s+{_give}\s+(?:with\s+)?(?:me\s+)?{_code}",
            rf"(?:^|[.!?:;,\n(]\s*)(?:only|just|nothing\s+but)\s+{_code}"
            r"(?=\s*(?:[.,;!:)\n]|$|please|and|no\b|without))",
            rf"\b(?:output|response|answer|reply)s?\s+{_must}\s+(?:be|contain|consist\s+of|include)\s+"
            rf"{_solely}\s+{_code}",
        )
    ),
    re.IGNORECASE,
)
_fences = re.compile(
    r"```|\bcode[ -]?blocks?\b|\bfenced\b|\b(?:in|as|use|using)\s+markdown\b"
    r"|\b(?:in|inside|within|with|use|using|a)\s+(?:\w+\s+)?(?:code\s+)?fences?\b",
    re.IGNORECASE,
)
_no_fences = re.compile(
    r"\b(?:no|without(?:\s+any)?|(?:do\s+not|don't|never)\s+(?:use|add|include|write|wrap\s+\w+\s+in)"
    r"|not\s+in(?:side)?)\s+(?:\w+,?\s+){0,4}?(?:(?:code|markdown)[ -]?)?"
    r"(?:fences?|fencing|backticks|markdown|code[ -]?blocks?)\b",
    re.IGNORECASE,
)
_signs_of_code_order = ("only", "just", "nothing but", "solely", "strictly", "exclusively")


@lru_cache(maxsize=4096)
def standing_demand(system: str) -> Demand:
    """What a system prompt demands of every answer; cached, because rows share their system prompts."""
    return demand(system)


def demand(text: str) -> Demand:
    """What a text demands of its answer."""
    # The patterns are expensive and most texts demand nothing: a substring search rules those out.
    lowered = text.lower()
    speaks_of_json = "json" in lowered
    if not speaks_of_json and not any(sign in lowered for sign in _signs_of_code_order):
        return nothing
    text = text.replace(apostrophe, "'")
    orders = [match for match in _json_orders.finditer(text) if _is_for_json(text, match)]
    code = not orders and any(_is_firm(text, match) for match in _code_orders.finditer(text))
    if not orders and not code:
        return nothing
    return Demand(
        json=any(match.lastgroup is None for match in orders),
        holds_json=bool(orders),
        json_lines=any(re.search(r"json[ -]?l", match.group(), re.IGNORECASE) for match in orders),
        code=code,
        fences=bool(_fences.search(text)) and not _no_fences.search(text),
    )


def _is_for_json(text: str, match: re.Match[str]) -> bool:
    """Whether the answering model must write the JSON, and not a program that it is asked to write."""
    start, end = _start(match), match.end()
    begin = _sentence_begin(text, start)
    if _subject_after.match(text, end) or _others_doing.search(text[begin:start]):
        return False
    if not _is_firm(text, match):
        return False
    return bool(_answering.search(match.group())) or not _programming.search(text, 0, end)


def _is_firm(text: str, match: re.Match[str]) -> bool:
    start, end = _start(match), match.end()
    begin = _sentence_begin(text, start)
    if _open_after.match(text, end) or _condition.search(text, begin, start):
        return False
    if _refusal.search(text[begin:start]) or _is_quoted(text, end):
        return False
    stop = _sentence_end.search(text, end)
    asks = stop is not None and stop.group() == "?"
    return not (asks and _question.match(text, begin))


def _start(match: re.Match[str]) -> int:
    """Where the order's first word stands: a match may begin with the end of the sentence before."""
    found = match.group()
    return match.start() + len(found) - len(found.lstrip(" \t\n.!?:;,(-*\u2022"))


def _sentence_begin(text: str, at: int) -> int:
    return max((found.end() for found in _sentence_end.finditer(text, 0, at)), default=0)


def _is_quoted(text: str, at: int) -> bool:
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line.count('"') % 2 == 1 or line.count("`") % 2 == 1 or line.count("\u201c") > line.count("\u201d")
