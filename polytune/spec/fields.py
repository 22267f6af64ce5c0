"""The shape of a spec's fields: the type at a path and the markers on it."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from annotated_types import BaseMetadata, GroupedMetadata
from pydantic.fields import FieldInfo

from polytune.spec.model import Spec

M = TypeVar("M")


@dataclass(frozen=True)
class Shape:
    """A type without its markers. `X | None` has the shape of `X`."""

    annotation: object
    markers: tuple[object, ...] = ()

    def marker(self, kind: type[M]) -> M | None:
        """Return the marker of a kind, or None."""
        return next((each for each in self.markers if isinstance(each, kind)), None)

    @property
    def spec(self) -> type[Spec] | None:
        """The spec class that validates a mapping here; None for any other type."""
        is_spec = isinstance(self.annotation, type) and issubclass(self.annotation, Spec)
        return self.annotation if is_spec else None  # type: ignore[return-value]

    @property
    def item(self) -> Shape | None:
        """The shape of a list's items; None for anything but a list."""
        if get_origin(self.annotation) not in (tuple, list):
            return None
        arguments = get_args(self.annotation)
        return shape_of(arguments[0]) if arguments else ANYTHING

    @property
    def entry(self) -> Shape | None:
        """The shape of a mapping's values; None for anything but a mapping."""
        if get_origin(self.annotation) not in (dict, Mapping):
            return None
        return shape_of(get_args(self.annotation)[1])

    def below(self, part: str) -> Shape | None:
        """Return the shape of a field, list item or mapping entry; None when there is none."""
        if self.spec is not None:
            return fields_of(self.spec).get(part)
        if self.item is not None:
            return self.item if part.isdigit() else None
        if self.entry is not None:
            return self.entry
        # Which alternative of a union was meant is unknown here; the first one with such a part
        # is a good guess.
        found = (arm.below(part) for arm in self.arms)
        return next((shape for shape in found if shape is not None), None)

    @property
    def arms(self) -> tuple[Shape, ...]:
        """The alternatives of a union; empty for any other type."""
        if get_origin(self.annotation) in (Union, types.UnionType):
            return tuple(shape_of(arm) for arm in get_args(self.annotation))
        return ()


ANYTHING = Shape(Any)


def shape_of(annotation: object, markers: Sequence[object] = ()) -> Shape:
    """Return the shape of an annotation, including the given outer markers."""
    found = [*_flat(markers)]
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *inner = get_args(annotation)
            found += _flat(inner)
            continue
        arms = [arm for arm in get_args(annotation) if arm is not types.NoneType]
        is_optional = get_origin(annotation) in (Union, types.UnionType) and len(arms) == 1
        if not is_optional:
            return Shape(annotation, tuple(found))
        annotation = arms[0]


# Cached: walking the annotations of a spec class is slow, and every step asks again.
@cache
def fields_of(cls: type[Spec]) -> Mapping[str, Shape]:
    """Return the shape of each field, by its YAML key."""
    return MappingProxyType(
        {
            key_of(name, field): shape_of(field.annotation, field.metadata)
            for name, field in cls.model_fields.items()
        }
    )


def key_of(name: str, field: FieldInfo) -> str:
    """Return the YAML key of a field: its alias, else its name."""
    return field.alias or name


def shape_at(cls: type[Spec], path: Sequence[str]) -> Shape:
    """Return the shape at a path below a spec; ANYTHING where the spec says nothing."""
    shape = Shape(cls)
    for part in path:
        below = shape.below(part)
        if below is None:
            return ANYTHING
        shape = below
    return shape


def _flat(markers: Sequence[object]) -> Iterator[object]:
    """Yield markers one by one, unpacked from `Field(...)` and `Interval(...)`."""
    for marker in markers:
        if isinstance(marker, FieldInfo):
            yield from _flat(marker.metadata)
        elif isinstance(marker, GroupedMetadata) and not isinstance(marker, BaseMetadata):
            yield from _flat(tuple(marker))
        else:
            yield marker
