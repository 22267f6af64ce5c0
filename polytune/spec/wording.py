"""Rewords pydantic's errors, each at the path that was written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from typing import Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic_core import ErrorDetails

from polytune.errors import did_you_mean
from polytune.spec.fields import Shape, fields_of, shape_at
from polytune.spec.located import Node, Parts, at, children

mismatches = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "none_required": "nothing",
}
choices = frozenset({"literal_error", "enum", "is_instance_of"})
longest_shown = 60


@dataclass(frozen=True)
class Complaint:
    """A problem at a path below a spec."""

    path: Parts
    what: str
    at_key: bool = False
    """Whether the key itself is wrong rather than its value."""
    is_missing: bool = False
    """Whether nothing was written there."""


@dataclass(frozen=True)
class _PydanticError:
    """One of pydantic's errors, at the path that was written."""

    path: Parts
    kind: str
    details: ErrorDetails
    in_union: bool

    @property
    def is_mismatch(self) -> bool:
        return self.kind in mismatches or self.kind in choices


def complaints(shape: Shape, errors: Sequence[ErrorDetails], node: Node) -> list[Complaint]:
    """Return one complaint per wrong place; pydantic has one error per alternative of a union."""
    located = [_located(error, node) for error in errors]
    by_path: dict[Parts, list[_PydanticError]] = {}
    for error in located:
        by_path.setdefault(error.path, []).append(error)
    misspelt = _misspelt(shape, located, node)
    return [
        _complaint(shape, group, node)
        for path, group in by_path.items()
        if not (_is_told_below(path, group, by_path) or (group[0].kind == "missing" and path in misspelt))
    ]


def paths_of_mismatches(errors: Sequence[ErrorDetails], node: Node) -> list[Parts]:
    """Return the paths of values with the wrong type, each once."""
    located = [_located(error, node) for error in errors]
    return list(dict.fromkeys(error.path for error in located if error.is_mismatch))


def shown(node: Node) -> str:
    """Return a value as messages show it."""
    if isinstance(node.value, Mapping):
        return "a mapping"
    if isinstance(node.value, tuple):
        return "a list"
    if node.value is None:
        return "nothing"
    text = str(node.value) if node.text is None else node.text
    text = text if len(text) <= longest_shown else f"{text[: longest_shown - 3]}..."
    return f"'{text}'" if isinstance(node.value, str) else text


def _located(error: ErrorDetails, node: Node) -> _PydanticError:
    path: list[str] = []
    skipped = False
    here: Node | None = node
    # pydantic's location also names alternatives of unions and validators, which exist in no file. Such
    # parts are dropped.
    for position, part in enumerate(error["loc"]):
        found = children(here).get(str(part)) if here is not None else None
        is_last = position == len(error["loc"]) - 1
        if found is None and not (is_last and error["type"] == "missing"):
            skipped = True
            continue
        path.append(str(part))
        here = found
    return _PydanticError(tuple(path), error["type"], error, skipped)


def _is_told_below(
    path: Parts, group: list[_PydanticError], by_path: Mapping[Parts, list[_PydanticError]]
) -> bool:
    """Whether a union's mismatch is redundant: another alternative was meant and is reported below it."""
    if not all(error.in_union and error.is_mismatch for error in group):
        return False
    return any(other != path and other[: len(path)] == path for other in by_path)


def _misspelt(shape: Shape, errors: Sequence[_PydanticError], node: Node) -> set[Parts]:
    """Return missing keys for which an unknown key next to them is a likely misspelling."""
    # `epoch: 2` yields two errors, "unknown epoch" and "missing epochs". The user made one mistake.
    missing = {error.path for error in errors if error.kind == "missing"}
    found = set()
    for error in errors:
        if error.kind == "extra_forbidden":
            beside = [path[-1] for path in missing if path[:-1] == error.path[:-1]]
            near = get_close_matches(error.path[-1], beside, n=1, cutoff=0.6)
            found |= {(*error.path[:-1], name) for name in near}
    return found


def _complaint(shape: Shape, group: list[_PydanticError], node: Node) -> Complaint:
    first = group[0]
    if first.kind == "missing":
        return Complaint(first.path, "required key missing", is_missing=True)
    if first.kind == "extra_forbidden":
        return Complaint(first.path, _unknown_key(shape, first.path, node), at_key=True)
    value = at(node, first.path) or node
    others = [error for error in group if not error.is_mismatch]
    below = _shape_below(shape, first.path)
    return Complaint(
        first.path, _worded(others[0], value, below) if others else _mismatch(group, value, below)
    )


def _shape_below(shape: Shape, path: Parts) -> Shape:
    return shape_at(shape.spec, path) if shape.spec is not None else shape


def _unknown_key(shape: Shape, path: Parts, node: Node) -> str:
    around = _shape_below(shape, path[:-1])
    specs = [arm.spec for arm in (around, *around.arms) if arm.spec is not None]
    known = [key for spec in specs for key in (*fields_of(spec), *spec.shared_keys)]
    stated = at(node, path[:-1])
    used = children(stated) if stated is not None else {}
    # A key that is already stated is an unlikely target of a misspelling.
    unused = [key for key in known if key not in used]
    if get_close_matches(path[-1], unused, n=1, cutoff=0.6):
        return f"unknown key '{path[-1]}'.{did_you_mean(path[-1], unused)}"
    return f"unknown key '{path[-1]}'.{did_you_mean(path[-1], known)}"


def _mismatch(group: list[_PydanticError], value: Node, shape: Shape) -> str:
    expected = list(dict.fromkeys(mismatches[e.kind] for e in group if e.kind in mismatches))
    # Every whole number is a number; "a number or a whole number" reads odd.
    if "a number" in expected and "a whole number" in expected:
        expected.remove("a whole number")
    words = _allowed_words(shape)
    if words:
        expected.append(f"one of: {', '.join(words)}")
    listed = " or ".join(expected)
    if value.value is None:
        return f"must be {listed}; the value is empty"
    stop = ";" if words else ","
    return f"must be {listed}{stop} not {shown(value)}{_source(value)}{_remedy(expected, words, value)}"


def _source(value: Node) -> str:
    return f" (from {value.origin.via})" if value.origin.via else ""


def _remedy(expected: list[str], words: list[str], value: Node) -> str:
    is_scalar = not isinstance(value.value, Mapping | tuple)
    if words:
        near = get_close_matches(str(value.value), words, n=1, cutoff=0.6) if is_scalar else []
        return f". Did you mean '{near[0]}'?" if near else ""
    if "text" in expected and is_scalar:
        return "; put it in quotes"
    if expected == ["a list"] and is_scalar:
        return f"; write [{value.text}]"
    if expected == ["a list"]:
        return "; put '- ' before each item"
    return ""


def _allowed_words(shape: Shape) -> list[str]:
    """Return the values of a Literal or an Enum, alone or in a union, as YAML writes them."""
    if get_origin(shape.annotation) is Literal:
        return [str(value) for value in get_args(shape.annotation)]
    if isinstance(shape.annotation, type) and issubclass(shape.annotation, Enum):
        return [str(member.value) for member in shape.annotation]
    return [word for arm in shape.arms for word in _allowed_words(arm)]


def _worded(error: _PydanticError, value: Node, shape: Shape) -> str:
    context = error.details.get("ctx", {})
    if error.kind in ("value_error", "assertion_error"):
        return str(context["error"])
    words = _sentences.get(error.kind)
    if words is not None:
        return words(context, value, shape)
    message = error.details["msg"].replace("Input should be", "must be").replace("Input should", "must")
    return message[:1].lower() + message[1:]


def _outside(context: Mapping[str, object], value: Node, shape: Shape) -> str:
    """Return '8 is outside 1-5', or a sentence with the one bound that exists."""
    low = _bound(shape, Ge, "ge", context)
    high = _bound(shape, Le, "le", context)
    above = _bound(shape, Gt, "gt", context)
    below = _bound(shape, Lt, "lt", context)
    if low is not None and high is not None:
        dash = "-" if not low.startswith("-") else " to "
        return f"{value.text} is outside {low}{dash}{high}{_source(value)}"
    wanted = [
        f"{words} {bound}"
        for words, bound in (("at least", low), ("more than", above), ("at most", high), ("less than", below))
        if bound is not None
    ]
    return f"must be {' and '.join(wanted)}, not {value.text}{_source(value)}"


def _bound(shape: Shape, kind: type, name: str, context: Mapping[str, object]) -> str | None:
    marker = shape.marker(kind)
    bound = context.get(name) if marker is None else getattr(marker, name)
    whole = isinstance(bound, float) and bound.is_integer()
    return None if bound is None else f"{bound:.0f}" if whole else str(bound)


def _pattern(context: Mapping[str, object], value: Node, shape: Shape) -> str:
    return f"{shown(value)} does not match the pattern {context['pattern']}"


def _too_few_characters(context: Mapping[str, object], value: Node, shape: Shape) -> str:
    least = context["min_length"]
    return "must not be empty" if least == 1 else f"must have at least {least} characters"


def _too_many_characters(context: Mapping[str, object], value: Node, shape: Shape) -> str:
    return f"has {len(str(value.value))} characters; at most {context['max_length']} are allowed"


def _too_few_items(context: Mapping[str, object], value: Node, shape: Shape) -> str:
    least = context["min_length"]
    return (
        "must not be empty" if least == 1 else f"must have at least {least} items, not {len(children(value))}"
    )


def _too_many_items(context: Mapping[str, object], value: Node, shape: Shape) -> str:
    return f"has {len(children(value))} items; at most {context['max_length']} are allowed"


_sentences: dict[str, Callable[[Mapping[str, object], Node, Shape], str]] = {
    "greater_than": _outside,
    "greater_than_equal": _outside,
    "less_than": _outside,
    "less_than_equal": _outside,
    "string_pattern_mismatch": _pattern,
    "string_too_short": _too_few_characters,
    "string_too_long": _too_many_characters,
    "too_short": _too_few_items,
    "too_long": _too_many_items,
}
