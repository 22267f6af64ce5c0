"""Every field that names a file or folder has the type of a path, relative to the file that states it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from polytune.spec.fields import Shape, fields_of
from polytune.spec.model import FileMarker, NamesPaths, Spec
from polytune.step_factory import spec_families

about_paths = re.compile(r"(^|_)(path|file|folder|media|directory|dir)s?$")
others: dict[tuple[str, str], str] = {
    ("ExportSpec", "path"): "where an output is placed, in the workspace",
}


def specs(cls: type[Spec], seen: set[type[Spec]]) -> Iterator[type[Spec]]:
    """A spec class and those inside it, each once."""
    if cls in seen:
        return
    seen.add(cls)
    yield cls
    for shape in fields_of(cls).values():
        for inner in inside(shape):
            yield from specs(inner, seen)


def inside(shape: Shape) -> Iterator[type[Spec]]:
    """The spec classes of a field: its own and its items'."""
    if shape.spec is not None:
        yield shape.spec
    if shape.item is not None:
        yield from inside(shape.item)


@pytest.mark.parametrize("family", spec_families)
def test_a_field_about_a_path_is_one(family: str) -> None:
    """By its name; a new field that is text all the same needs a reason above."""
    seen: set[type[Spec]] = set()
    members = spec_families[family]
    plain = {
        (cls.__name__, key)
        for name in members.names()
        for cls in specs(members.load(name).Spec, seen)
        for key, shape in fields_of(cls).items()
        if about_paths.search(key)
        and not (shape.marker(FileMarker) or shape.marker(NamesPaths))
        and not any(inside(shape))
        and (shape.item is None or not shape.item.marker(FileMarker))
    }

    assert plain <= others.keys()
