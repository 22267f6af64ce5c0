"""Checks requests against the service's model before they are sent, and replies after they arrive.

botocore checks types, required members and minimums, but not patterns, enums or maximums.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from polytune.errors import PolytuneError

open_enums = frozenset({"EvaluationTaskType"})
"""Shapes whose enum the service does not enforce: judge evaluations send `General`."""

sometimes_absent = frozenset({("GetModelCustomizationJob", "validationDataConfig")})
"""Output members that the model marks as required but recorded replies lack."""

_equivalents = {
    r"[a-zA-Z0-9](-*[a-zA-Z0-9\+\-\.])*": r"[a-zA-Z0-9][a-zA-Z0-9+.-]*",
    r"[a-zA-Z0-9]{1,63}(-*[a-zA-Z0-9\+\-\.]){0,63}": r"[a-zA-Z0-9][a-zA-Z0-9+.-]*",
}
"""Patterns with exponential backtracking, and linear ones that are equivalent at their fields' lengths."""

_classes = {r"\p{L}": r"\w", r"\p{M}": r"\u0300-\u036f", r"\p{N}": r"\w", r"\p{Zs}": " ", r"\p{Z}": r"\s"}
"""Unicode classes of the models' patterns, in the closest form that Python's `re` supports."""


class RequestRefused(PolytuneError):
    """AWS would reject the request, so it was not sent; the message lists every invalid member."""


@dataclass(frozen=True)
class BrokenRule:
    """A request member that violates a rule of the service's model."""

    member: str
    value: object
    rule: str

    def __str__(self) -> str:
        shown = "" if self.value is None else f" ({_shortened(self.value)})"
        return f"{self.member}{shown}: {self.rule}"


def check_request(service: str, operation: Any, members: Mapping[str, Any]) -> None:
    """Every member conforms to the operation's model.

    Raises RequestRefused with each invalid member, its value and the rule.
    """
    if operation.input_shape is None:
        wrong = [BrokenRule(name, None, "the operation takes no members") for name in members]
    else:
        wrong = list(_structure(operation.input_shape, members, ""))
    if wrong:
        listed = "; ".join(map(str, wrong))
        raise RequestRefused(
            f"{service} {operation.name}: {listed}. Nothing was sent: correct it, then run it again."
        )


def lacking_members(operation: Any, reply: Mapping[str, Any]) -> list[str]:
    """The members that the model guarantees but the reply lacks."""
    if operation.output_shape is None:
        return []
    return [
        name
        for name in operation.output_shape.required_members
        if reply.get(name) is None and (operation.name, name) not in sometimes_absent
    ]


def _any(shape: Any, value: Any, where: str) -> Iterator[BrokenRule]:
    kind = shape.type_name
    if kind == "structure" and isinstance(value, Mapping) and not getattr(shape, "is_document_type", False):
        yield from _structure(shape, value, where)
    elif kind == "list" and isinstance(value, (list, tuple)):
        yield from _length(shape, value, where, "items")
        for index, item in enumerate(value):
            yield from _any(shape.member, item, f"{where}[{index}]")
    elif kind == "map" and isinstance(value, Mapping):
        yield from _length(shape, value, where, "entries")
        for key, item in value.items():
            yield from _any(shape.key, key, f"{where} key")
            yield from _any(shape.value, item, f"{where}.{key}")
    elif kind == "string" and isinstance(value, str):
        yield from _text(shape, value, where)
    elif kind in ("integer", "long", "float", "double"):
        yield from _number(shape, value, where)
    elif kind == "blob" and isinstance(value, (bytes, bytearray)):
        yield from _length(shape, value, where, "bytes")


def _structure(shape: Any, value: Mapping[str, Any], where: str) -> Iterator[BrokenRule]:
    prefix = f"{where}." if where else ""
    for name in shape.required_members:
        if value.get(name) is None:
            yield BrokenRule(f"{prefix}{name}", None, "is required")
    if getattr(shape, "is_tagged_union", False) and len(value) != 1:
        yield BrokenRule(where, None, f"must have exactly one of {', '.join(shape.members)}")
    for name, item in value.items():
        if name not in shape.members:
            yield BrokenRule(f"{prefix}{name}", None, f"is not a member; known: {', '.join(shape.members)}")
        elif item is not None:
            yield from _any(shape.members[name], item, f"{prefix}{name}")


def _text(shape: Any, value: str, where: str) -> Iterator[BrokenRule]:
    too_long = list(_length(shape, value, where, "characters"))
    yield from too_long
    if shape.enum and value not in shape.enum and shape.name not in open_enums:
        yield BrokenRule(where, value, f"must be one of {', '.join(shape.enum)}")
    pattern = shape.metadata.get("pattern")
    # Some patterns take exponential time on long texts; these already fail the length check.
    compiled = _compiled(pattern) if pattern and not too_long else None
    if compiled is not None and not compiled.fullmatch(value):
        yield BrokenRule(where, value, f"must match {pattern}")


def _number(shape: Any, value: Any, where: str) -> Iterator[BrokenRule]:
    # botocore reports values of the wrong type itself.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    minimum, maximum = shape.metadata.get("min", -math.inf), shape.metadata.get("max", math.inf)
    if not minimum <= value <= maximum:
        yield BrokenRule(where, value, f"must be from {minimum} to {maximum}")


def _length(shape: Any, value: Any, where: str, unit: str) -> Iterator[BrokenRule]:
    minimum, maximum = shape.metadata.get("min", 0), shape.metadata.get("max", math.inf)
    if not minimum <= len(value) <= maximum:
        yield BrokenRule(where, value, f"has {len(value)} {unit}, must have {minimum} to {maximum}")


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    readable = pattern
    for slow, quick in _equivalents.items():
        readable = readable.replace(slow, quick)
    for theirs, ours in _classes.items():
        readable = readable.replace(theirs, ours)
    try:
        return re.compile(readable, re.DOTALL)
    except re.error:
        # A pattern that Python cannot compile is left for the service to check.
        return None


def _shortened(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
