"""Rewrites libyaml's error messages in plain words, at the place the user has to edit."""

from __future__ import annotations

from dataclasses import dataclass

import yaml

from polytune.errors import Problem
from polytune.spec.located import Origin, problem


@dataclass(frozen=True)
class _Words:
    """The message to show for an error that contains `complaint`."""

    complaint: str
    what: str
    at_opening: bool = False
    """Whether the place to edit is where the construct began rather than where libyaml gave up."""


# The first match counts, so specific texts come before general ones.
known = (
    _Words("tab character", "a tab cannot indent YAML; use spaces"),
    _Words("unexpected end of stream", "the text that starts here has no closing quote", at_opening=True),
    _Words("document indicator", "the text that starts here has no closing quote", at_opening=True),
    _Words("expected ',' or ']'", "this '[' is not closed, or a comma is missing after it", at_opening=True),
    _Words("expected ',' or '}'", "this '{' is not closed, or a comma is missing after it", at_opening=True),
    _Words("expected ':'", "expected `key: value`; a colon is missing", at_opening=True),
    _Words(
        "mapping values are not allowed",
        "a key cannot stand here: indent it like its neighbours, or put text that contains ': ' in quotes",
    ),
    _Words("expected key", "this does not fit what is above it; check the indentation and the quotes"),
    _Words("expected '-' indicator", "expected another '- ' item; check the indentation"),
    _Words("expected node content", "a value is missing here"),
    _Words("unknown escape", "unknown escape after '\\'; use single quotes, or write '\\\\'"),
    _Words("hexdecimal", "an escape such as \\x41 is incomplete; use single quotes, or write '\\\\'"),
    _Words("Unicode character escape", "an escape that is no Unicode character"),
    _Words("alphabetic or numeric", "'*' and '&' start an alias or an anchor; put such text in quotes"),
    _Words("<document start>", "there is more text after the end of the document"),
    _Words("incompatible YAML", "this %YAML version is not supported; remove the line"),
    _Words("directive", "a line that starts with '%' is not supported here; put text in quotes"),
    _Words("comment or line break", "unexpected text after '|' or '>'; start the text on the next line"),
)


def syntax_problem(error: yaml.MarkedYAMLError, start: Origin, text: str) -> Problem:
    """Return the problem that libyaml found, worded in terms of what was written."""
    complaint = error.problem or "not valid YAML"
    mark = error.problem_mark or error.context_mark
    if "cannot start any token" in complaint and mark is not None:
        return problem(_origin(mark, start), "", _bad_start(mark, text))
    if "expected ','" in complaint and (reference := _unquoted_reference(error.problem_mark, start, text)):
        return reference
    words = next((w for w in known if w.complaint in complaint), _Words("", f"not valid YAML: {complaint}"))
    if words.at_opening or mark is None:
        mark = error.context_mark or mark
    return problem(_origin(mark, start) if mark else start, "", words.what)


def _unquoted_reference(mark: yaml.error.Mark | None, start: Origin, text: str) -> Problem | None:
    """Return the problem of a `${...}` without quotes inside braces or brackets; None for any other."""
    lines = text.splitlines()
    if mark is None or mark.line >= len(lines) or not mark.column:
        return None
    before, after = lines[mark.line][: mark.column], lines[mark.line][mark.column :]
    if not before.endswith("$") or not after.startswith("{"):
        return None
    end = after.find("}")
    shown = f"${after[: end + 1]}" if end > 0 else "${...}"
    what = f'inside {{...}} or [...] a reference needs quotes: write "{shown}"'
    return problem(Origin(start.file, mark.line + 1, mark.column), "", what)


def _origin(mark: yaml.error.Mark, start: Origin) -> Origin:
    return Origin(start.file, mark.line + 1, mark.column + 1)


def _bad_start(mark: yaml.error.Mark, text: str) -> str:
    lines = text.splitlines()
    character = lines[mark.line][mark.column : mark.column + 1] if mark.line < len(lines) else ""
    if character == "\t":
        return "a tab cannot indent YAML; use spaces"
    return f"text cannot start with '{character}'; put it in quotes"
