"""The content of a validated spec: its canonical JSON, and the files and secrets it names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from pydantic.fields import FieldInfo

from polytune.errors import Problem
from polytune.fingerprint import Json, canonical
from polytune.spec.fields import ANYTHING, Shape, fields_of, key_of
from polytune.spec.interpolate import secret_reference
from polytune.spec.located import Node, Parts, problem, shown_folder, stated_at
from polytune.spec.model import (
    CatalogueName,
    Effective,
    FileMarker,
    Member,
    MemberSpec,
    NamesPaths,
    SecretMarker,
    Spec,
)


@dataclass(frozen=True)
class FoundValue:
    """A value inside a spec, or the spec itself."""

    path: Parts
    shape: Shape
    value: object


def walk(spec: Spec, *, into_members: bool = True) -> Iterator[FoundValue]:
    """Yield the spec and everything in it, parents first."""
    for found in _walk(FoundValue((), Shape(type(spec)), spec), into_members=into_members):
        if into_members or found.value is spec or not isinstance(found.value, MemberSpec):
            yield found


def _walk(found: FoundValue, *, into_members: bool) -> Iterator[FoundValue]:
    yield found
    is_member = isinstance(found.value, MemberSpec) and bool(found.path)
    if not is_member or into_members:
        for part in _parts(found):
            yield from _walk(part, into_members=into_members)


def _parts(found: FoundValue) -> Iterator[FoundValue]:
    value, path = found.value, found.path
    if isinstance(value, Spec):
        shapes = fields_of(type(value))
        for name, field in type(value).model_fields.items():
            key = key_of(name, field)
            yield FoundValue((*path, key), shapes[key], getattr(value, name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield FoundValue((*path, str(key)), found.shape.below(str(key)) or ANYTHING, item)
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield FoundValue((*path, str(index)), found.shape.below(str(index)) or ANYTHING, item)


def spec_json(spec: Spec) -> Json:
    """Return the whole spec, defaults included, as JSON.

    A whole number in a float field becomes a float, so `1` and `1.0` give the same key.
    """
    return json_of(FoundValue((), Shape(type(spec)), spec))


def json_of(found: FoundValue) -> Json:
    """Return a value as JSON. Raises TypeError for one that JSON does not have."""
    value = found.value
    if isinstance(value, Spec | Mapping):
        return {part.path[-1]: json_of(part) for part in _parts(found)}
    if isinstance(value, tuple | list):
        return [json_of(part) for part in _parts(found)]
    if isinstance(value, Enum):
        value = value.value
    # YAML's `1` is an int. Without this, `1` and `1.0` would be two keys.
    if found.shape.annotation is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{'.'.join(found.path)}: a {type(value).__name__} is no JSON value")


def json_texts(found: FoundValue) -> Iterator[tuple[Parts, str]]:
    """Yield every text in a value with its path."""
    yield from (
        (each.path, each.value) for each in _walk(found, into_members=True) if isinstance(each.value, str)
    )


@dataclass(frozen=True)
class Decisions:
    """What a spec decides, apart from what the program would do anyway."""

    spec: dict[str, Json]
    """The JSON of the fields whose value differs from their default, nested specs included."""
    defaults: dict[str, Json]
    """The fields at their default, stated or not, by dotted path. Never hashed."""
    effective: dict[str, Json]
    """The stated `Effective` fields by dotted path. Not hashed here: what they come to is among the facts."""


def decisions(spec: Spec) -> Decisions:
    """Return what is hashed of a spec. A field at its default is absent, so a new option changes no key."""
    found = Decisions({}, {}, {})
    decided = _decided(FoundValue((), Shape(type(spec)), spec), found)
    assert isinstance(decided, dict)
    return replace(found, spec=decided)


def _decided(found: FoundValue, into: Decisions) -> Json:
    value = found.value
    if isinstance(value, Spec):
        return _decided_fields(found, value, into)
    if isinstance(value, Mapping):
        return {part.path[-1]: _decided(part, into) for part in _parts(found)}
    if isinstance(value, tuple | list):
        return [_decided(part, into) for part in _parts(found)]
    return json_of(found)


def _decided_fields(found: FoundValue, spec: Spec, into: Decisions) -> Json:
    decided: dict[str, Json] = {}
    for part, field in zip(_parts(found), type(spec).model_fields.values(), strict=True):
        is_default = not field.is_required() and _is_default(part, field)
        if part.shape.marker(Effective) is not None:
            into.effective.update({} if is_default else {".".join(part.path): json_of(part)})
        elif is_default:
            into.defaults[".".join(part.path)] = json_of(part)
        else:
            decided[part.path[-1]] = _decided(part, into)
    return decided


def _is_default(part: FoundValue, field: FieldInfo) -> bool:
    default = FoundValue(part.path, part.shape, field.get_default(call_default_factory=True))
    # As JSON: `1` and `1.0` are one value in a float field, and `True` is not `1`.
    return canonical(json_of(part)) == canonical(json_of(default))


def members_used(spec: Spec) -> Iterator[tuple[str, str]]:
    """Yield (family, name) of every member and catalogue entry that the spec names; may repeat."""
    for found in walk(spec):
        member, catalogue = found.shape.marker(Member), found.shape.marker(CatalogueName)
        if member is not None and isinstance(found.value, MemberSpec):
            yield member.family, found.value.kind
        if catalogue is not None and isinstance(found.value, str):
            yield catalogue.catalogue, found.value


def secret_references(spec: Spec) -> dict[str, str]:
    """Return dotted field path -> `${secret:NAME}` reference. References are never part of what is hashed."""
    return {
        ".".join(found.path): found.value
        for found in walk(spec)
        if found.shape.marker(SecretMarker) is not None
        and isinstance(found.value, str)
        and secret_reference.fullmatch(found.value)
    }


def named_files(spec: Spec) -> list[str]:
    """Return the dotted path of every `InputFile` or `InputFolder` field that names one."""
    return [".".join(found.path) for found, _ in _paths_in(spec)]


def _paths_in(spec: Spec) -> Iterator[tuple[FoundValue, FileMarker]]:
    for found in walk(spec):
        marker = found.shape.marker(FileMarker)
        if marker is not None and marker.names_path(found.value):
            yield found, marker


def input_files(spec: Spec, node: Node, where: str, problems: list[Problem]) -> dict[str, Path]:
    """Return dotted field path -> absolute path of every input file and folder in a spec and its members.

    A path is relative to the folder of the YAML file that states it, or to the current folder if it comes
    from `--set`. What does not exist is reported and left out.
    """
    files = {}
    for found, marker in _paths_in(spec):
        stated, name = stated_at(node, where, found.path)
        # Relative to the file that states it, not to the experiment: a parent named by
        # `extends` may live elsewhere.
        path = Path(os.path.normpath(stated.origin.file.parent / str(found.value)))
        if os.path.isdir(path) if marker.folder else os.path.isfile(path):
            files[".".join(found.path)] = Path(os.path.abspath(path))
        else:
            problems.append(problem(stated.origin, name, _missing(path, str(found.value), marker)))
    return files


def stating_folders(spec: Spec, node: Node, where: str) -> dict[str, Path]:
    """Return dotted path -> folder of the YAML file that states it, for each member and `NamesPaths` field.

    For a value from `--set` it is the current folder. Fields at their default are left out.
    """
    folders = {}
    for found in walk(spec):
        is_member = isinstance(found.value, MemberSpec) and bool(found.path)
        if is_member or (found.shape.marker(NamesPaths) is not None and found.value):
            stated, _ = stated_at(node, where, found.path)
            folders[".".join(found.path)] = Path(os.path.abspath(stated.origin.file.parent))
    return folders


def _missing(path: Path, stated: str, marker: FileMarker) -> str:
    wanted, other = ("folder", "file") if marker.folder else ("file", "folder")
    if os.path.exists(path):
        return f"'{stated}' is a {other}, not a {wanted}"
    return f"no such {wanted} '{stated}'; looked in {shown_folder(path)}"
