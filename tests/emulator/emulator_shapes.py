"""A walker over botocore's output shapes that knows nothing of the emulator: what is wrong with a body."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from botocore.model import Shape

wire_types: dict[str, type | tuple[type, ...]] = {
    "structure": dict,
    "list": list,
    "map": dict,
    "string": str,
    "timestamp": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
}
moment = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


def faults(shape: Shape, value: Any, path: str = "") -> Iterator[str]:
    """`path: what is wrong`, for every deviation of a JSON value from its shape."""
    kind = shape.type_name
    if not has_type(kind, value):
        yield f"{path}: is no {kind}"
        return
    if kind == "timestamp" and not moment.fullmatch(value):
        yield f"{path}: is no time"
    if kind == "string":
        yield from _string_faults(shape, value, path)
    if kind in ("string", "list", "map"):
        yield from _bounds(shape, len(value), path)
    if kind in ("integer", "long", "float", "double"):
        yield from _bounds(shape, value, path)
    yield from _inside(shape, value, path)


def has_type(kind: str, value: Any) -> bool:
    """Whether a JSON value has the JSON type of a shape's kind."""
    return isinstance(value, wire_types[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _inside(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure":
        known = {member.serialization.get("name", name): name for name, member in shape.members.items()}
        for wire in value:
            if wire not in known:
                yield f"{path}.{wire}: is unknown"
        for name in shape.required_members:
            if name not in value:
                yield f"{path}.{name}: is missing"
        if getattr(shape, "is_tagged_union", False) and len(value) != 1:
            yield f"{path}: sets {len(value)} members of a union"
        for wire, name in known.items():
            if wire in value:
                yield from faults(shape.members[name], value[wire], f"{path}.{wire}")
    elif shape.type_name == "list":
        for item in value:
            yield from faults(shape.member, item, f"{path}[]")
    elif shape.type_name == "map":
        for key, item in value.items():
            yield from faults(shape.key, key, f"{path}{{}}")
            yield from faults(shape.value, item, f"{path}{{}}")


def _string_faults(shape: Shape, value: str, path: str) -> Iterator[str]:
    if shape.metadata.get("enum") and value not in shape.metadata["enum"]:
        yield f"{path}: is not in the enum"
    if shape.metadata.get("pattern") and not re.fullmatch(shape.metadata["pattern"], value):
        yield f"{path}: does not match the pattern"


def _bounds(shape: Shape, size: float, path: str) -> Iterator[str]:
    if size < shape.metadata.get("min", size) or size > shape.metadata.get("max", size):
        yield f"{path}: is out of bounds"


class Wire:
    """The bodies that a boto3 client received, by operation, before botocore parsed them."""

    def __init__(self, client: Any) -> None:
        self.bodies: dict[str, list[tuple[int, Any, Any]]] = {}
        """Operation -> status, body and operation model of each answer."""
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register(f"before-parse.{service}", self._heard)

    def _heard(self, operation_model: Any, response_dict: Any, **_: Any) -> None:
        body = response_dict["body"]
        heard = (response_dict["status_code"], json.loads(body) if body else {}, operation_model)
        self.bodies.setdefault(operation_model.name, []).append(heard)
