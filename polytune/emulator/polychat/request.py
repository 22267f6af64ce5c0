"""Validation of requests for a pattern, with the error messages of the real Polychat API.

The issues have the keys, codes and messages of zod 4, the validation library of the real endpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

styles = ("techno", "ambient", "house", "jazz", "drums", "experimental")
complexities = ("simple", "medium", "complex")
tempo_bounds = (60, 200)

Issue = dict[str, object]


class PatternRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A valid request. Unknown keys are dropped without an error, as by the real API."""

    prompt: str
    style: str | None = None
    tempo: float | None = None
    complexity: str = "medium"
    model: str | None = None
    options: dict[str, object] | None = None

    @property
    def fields(self) -> dict[str, str | float]:
        """Its members other than the prompt that describe the pattern."""
        fields: dict[str, str | float] = {"complexity": self.complexity}
        if self.style is not None:
            fields["style"] = self.style
        if self.tempo is not None:
            fields["tempo"] = self.tempo
        return fields


@dataclass(frozen=True)
class JudgedRequest:
    """A valid request, or the issues of an invalid one."""

    request: PatternRequest | None
    issues: tuple[Issue, ...] = ()


def judge(body: object) -> JudgedRequest:
    """The request in a decoded JSON body, or every issue that the schema finds."""
    if not isinstance(body, dict):
        return JudgedRequest(None, (_wrong_type("object", body, []),))
    issues = tuple(
        issue
        for name, problem in _problems.items()
        if (name in body or name == "prompt") and (issue := problem(body.get(name, _absent), [name]))
    )
    if issues:
        return JudgedRequest(None, issues)
    return JudgedRequest(
        msgspec.convert({name: body[name] for name in _problems if name in body}, PatternRequest)
    )


# zod reports a missing member as "undefined" and a JSON null as "null", so None cannot mean both.
_absent = object()


def _prompt(value: object, path: list[str]) -> Issue | None:
    if not isinstance(value, str):
        return _wrong_type("string", value, path)
    if value:
        return None
    bounds: Issue = {"origin": "string", "code": "too_small", "minimum": 1, "inclusive": True}
    return {**bounds, "path": path, "message": "Too small: expected string to have >=1 characters"}


def _model(value: object, path: list[str]) -> Issue | None:
    return None if isinstance(value, str) else _wrong_type("string", value, path)


def _options(value: object, path: list[str]) -> Issue | None:
    return None if isinstance(value, dict) else _wrong_type("record", value, path)


def _tempo(value: object, path: list[str]) -> Issue | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _wrong_type("number", value, path)
    least, most = tempo_bounds
    if value < least:
        bounds: Issue = {"origin": "number", "code": "too_small", "minimum": least, "inclusive": True}
        return {**bounds, "path": path, "message": f"Too small: expected number to be >={least}"}
    if value > most:
        bounds = {"origin": "number", "code": "too_big", "maximum": most, "inclusive": True}
        return {**bounds, "path": path, "message": f"Too big: expected number to be <={most}"}
    return None


def _one_of(values: tuple[str, ...]) -> Callable[[object, list[str]], Issue | None]:
    choice = "|".join(f'"{value}"' for value in values)

    def problem(value: object, path: list[str]) -> Issue | None:
        if value in values:
            return None
        message = f"Invalid option: expected one of {choice}"
        return {"code": "invalid_value", "values": list(values), "path": path, "message": message}

    return problem


def _wrong_type(expected: str, value: object, path: list[str]) -> Issue:
    message = f"Invalid input: expected {expected}, received {_kind(value)}"
    return {"expected": expected, "code": "invalid_type", "path": path, "message": message}


def _kind(value: object) -> str:
    # `bool` must come before `int`, of which it is a subclass in Python.
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
        case _:
            return "undefined"


# zod reports issues in the order of the schema's members.
_problems: dict[str, Callable[[object, list[str]], Issue | None]] = {
    "prompt": _prompt,
    "style": _one_of(styles),
    "tempo": _tempo,
    "complexity": _one_of(complexities),
    "model": _model,
    "options": _options,
}
