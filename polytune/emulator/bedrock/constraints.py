"""Checks a value against the service model: required members, lengths, ranges, patterns, enums, unions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from botocore.model import Shape

from polytune.emulator.bedrock.call import EmulatedError, invalid

# A malformed list can break a constraint once per item: keep the message readable.
most_named = 10
shown_characters = 200


def refusal(shape: Shape, value: Any) -> EmulatedError | None:
    """One error that lists the violations of the shape, up to `most_named`; None for a valid value."""
    # botocore's client checks only types, required members, minimums and unions. Patterns, enums and maximums
    # are first checked here, as by the real service.
    found = list(violations(shape, value, ""))
    if not found:
        return None
    plural = "s" if len(found) > 1 else ""
    return invalid(f"{len(found)} validation error{plural} detected: {'; '.join(found[:most_named])}")


def violations(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """Every violation of the shape, worded like the service's messages."""
    if getattr(shape, "is_document_type", False):
        return
    match shape.type_name:
        case "structure":
            yield from _structure(shape, value, path)
        case "list":
            yield from _size(shape, len(value), path, value)
            for index, item in enumerate(value, 1):
                yield from violations(shape.member, item, f"{path}.{index}.member")
        case "map":
            yield from _size(shape, len(value), path, value)
            for key, item in value.items():
                yield from violations(shape.key, key, f"{path}.{key}")
                yield from violations(shape.value, item, f"{path}.{key}")
        case "string":
            yield from _string(shape, value, path)
        case "blob":
            yield from _size(shape, len(value), path, value)
        case "integer" | "long" | "float" | "double":
            yield from _range(shape, value, path)


def _structure(shape: Shape, value: Any, path: str) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield failed("null", _below(path, name), "Member must not be null")
    if getattr(shape, "is_tagged_union", False) and sum(item is not None for item in value.values()) != 1:
        yield failed(value, path, f"Exactly one member must be set: [{', '.join(shape.members)}]")
    for name, member in shape.members.items():
        if value.get(name) is not None:
            yield from violations(member, value[name], _below(path, name))


def _string(shape: Shape, value: str, path: str) -> Iterator[str]:
    yield from _size(shape, len(value), path, value)
    enum = shape.metadata.get("enum")
    if enum and value not in enum:
        yield failed(value, path, f"Member must satisfy enum value set: [{', '.join(enum)}]")
    pattern = shape.metadata.get("pattern")
    if pattern and not _compiled(pattern).fullmatch(value):
        yield failed(value, path, f"Member must satisfy regular expression pattern: {pattern}")


def _size(shape: Shape, size: int, path: str, value: Any) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield failed(value, path, f"Member must have length greater than or equal to {least}")
    if most is not None and size > most:
        yield failed(value, path, f"Member must have length less than or equal to {most}")


def _range(shape: Shape, value: float, path: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and value < least:
        yield failed(value, path, f"Member must have value greater than or equal to {least}")
    if most is not None and value > most:
        yield failed(value, path, f"Member must have value less than or equal to {most}")


def failed(value: Any, path: str, constraint: str) -> str:
    """The service's message for a member that violates a constraint."""
    shown = str(value)
    shown = shown if len(shown) <= shown_characters else shown[:shown_characters] + "..."
    return f"Value '{shown}' at '{path}' failed to satisfy constraint: {constraint}"


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


# `re` caches at most 512 patterns and then evicts; the service model alone has hundreds.
@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
