"""The base of every spec class, and the field types with a meaning to the engine.

A spec class is strict, frozen and rejects unknown keys. The docstring under a field is the user's reference
and is published in the JSON Schema. Markers give a plain field a meaning:

    prompts: InputFile                                      the file's content enters the cache key
    media: InputFolder                                      the content of all files in it does
    teacher: Annotated[MemberSpec, Member("teachers")]      validated by the member that `kind` names
    api_key: Secret                                         `${secret:NAME}`; the value is never stored
    seed: Annotated[int, Inherited()] = 0                   the experiment's own, unless the step states one
    base_model: Annotated[str, CatalogueName("base_models")]    editors complete it from the catalogue
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Strict

T = TypeVar("T")


class Spec(BaseModel):
    """Something a user writes in YAML. Everything in it may change an output, so all of it is hashed."""

    model_config = ConfigDict(
        # No coercion: `epochs: "2"` is more likely a mistake than a number. Values without a type of their
        # own (environment, --set) are handled in validate.
        strict=True,
        extra="forbid",
        frozen=True,
        # JSON has neither, and what is hashed is JSON.
        allow_inf_nan=False,
        # Validators are built when they are first used: a file uses few of them.
        defer_build=True,
    )

    shared_keys: ClassVar[tuple[str, ...]] = ()
    """Keys that are read before this spec sees the others; suggested when a key is misspelled."""

    def problems(self) -> list[FieldProblem]:
        """Return problems that no single field shows, such as two fields that contradict each other."""
        return []

    @classmethod
    def schema_rules(cls) -> list[JsonObject]:
        """Return further JSON Schemas that every value must match, for editors."""
        return []


class MemberSpec(Spec):
    """The spec of one member of a family, chosen by `kind`."""

    kind: str
    """The member: the name of its file."""


@dataclass(frozen=True)
class FieldProblem:
    """A problem found by a spec itself. `field` is a dotted path below that spec, '' for all of it."""

    field: str
    what: str


@dataclass(frozen=True)
class Member:
    """Marks a field (or the items of one) whose value is a member of a family."""

    family: str


@dataclass(frozen=True)
class FileMarker:
    """Marks a path, relative to the YAML file that states it. The content of the file is hashed.

    With `folder` it is a folder, whose content tree is hashed. With `or_name` only a value with a slash is a
    path, and any other one a name or an ARN.
    """

    folder: bool = False
    or_name: bool = False

    def names_path(self, value: object) -> bool:
        """Whether a value of the field is a path."""
        if not isinstance(value, str):
            return False
        return not self.or_name or ("/" in value and not value.startswith("arn:"))


@dataclass(frozen=True)
class NamesPaths:
    """Marks text with paths in it, such as a command; they are relative to the YAML file that states it.

    Records do not hold where the workspace is (see `spec.rooted`). A step finds the file's folder in
    `Scope.folder_of`, by the dotted name of the field; that of a member is there without a marker.
    """


@dataclass(frozen=True)
class SecretMarker:
    """Marks a `${secret:NAME}` reference; NAME is looked up in the environment when it is used."""

    optional: bool = False
    """Whether other text is allowed instead."""


@dataclass(frozen=True)
class Inherited:
    """Marks a step's field whose default is the experiment's top-level value of the same name."""


@dataclass(frozen=True)
class Adopted:
    """Marks a step's field whose default is what the other steps state under its name."""


@dataclass(frozen=True)
class Effective:
    """Marks a field whose effective value is among the step's key facts, so what is stated is not hashed."""


@dataclass(frozen=True)
class CatalogueName:
    """Marks a name from a catalogue of facts, so that editors can complete it."""

    catalogue: str
    is_closed: bool = True
    """False if names outside the catalogue are accepted too, such as a folder's."""


Items = Annotated[tuple[T, ...], Strict(False)]
"""A YAML list as a tuple."""

InputFile = Annotated[str, FileMarker()]
InputFolder = Annotated[str, FileMarker(folder=True)]
NameOrFolder = Annotated[str, FileMarker(folder=True, or_name=True)]
Secret = Annotated[str, SecretMarker()]
MaybeSecret = Annotated[str, SecretMarker(optional=True)]

JsonObject = dict[str, Any]
"""A JSON object whose shape only its producer knows."""
