"""Validates located nodes into typed, frozen specs; every problem is reported in our words at its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, TypeVar, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from polytune.errors import PolytuneError, Problem
from polytune.spec.fields import ANYTHING, Shape
from polytune.spec.interpolate import secret_reference
from polytune.spec.located import Node, Parts, at, dotted, problem, problem_at, split, stated_at
from polytune.spec.model import Member, SecretMarker, Spec
from polytune.spec.reading import scalar
from polytune.spec.resolved import walk
from polytune.spec.wording import Complaint, complaints, paths_of_mismatches, shown

S = TypeVar("S", bound=Spec)

MemberSpecs = Callable[[str, str], type[Spec]]
"""(family, kind) -> the spec class of that member. Raises PolytuneError when there is none."""

FAILED = object()
"""Replaces a value that was already reported. No field accepts it, so no validator runs on it."""


def validated(cls: type[S], node: Node, where: str, problems: list[Problem], member: MemberSpecs) -> S | None:
    """Return the spec that a node holds; None, with its problems appended, when it is invalid.

    `where` is the dotted path of the node. A field marked with `Member` is validated by the member that
    `kind` names and holds an instance of that member's own spec class.
    """
    return cast("S | None", _Validation(problems, member).spec(cls, node, where))


class _Validation:
    """One validation of a tree."""

    def __init__(self, problems: list[Problem], member: MemberSpecs) -> None:
        self._problems = problems
        self._member_spec = member

    def spec(self, cls: type[Spec], node: Node, where: str) -> Spec | None:
        """Return the spec that a node holds, including everything nested in it."""
        if node.broken:
            return None
        where = node.stated or where
        if not isinstance(node.value, Mapping):
            self.add(node, where, f"must be a mapping, not {shown(node)}")
            return None
        before = len(self._problems)
        preparation = _Preparation(self, node, where)
        data = preparation.value(Shape(cls), node, ())
        try:
            value = _checked(cls, data, node)
        except ValidationError as error:
            # One mistake, one message: what was reported during preparation, or may stand in an unread
            # file, is skipped.
            for complaint in complaints(Shape(cls), _details(error), node):
                if not (preparation.has_failed(complaint.path) or _is_only_unread(complaint, node)):
                    self._complain(complaint, node, where)
            return None
        self._ask_specs(value, node, where)
        return value if len(self._problems) == before else None

    def member(self, family: str, node: Node, where: str) -> Spec | None:
        """Return the spec of the member that a mapping's `kind` names."""
        assert isinstance(node.value, Mapping)
        kind = node.value.get("kind")
        if kind is None and node.incomplete:
            return None
        if kind is None:
            self.add(node, dotted(where, "kind"), f"required key missing; it must name one of the {family}")
            return None
        if kind.broken:
            return None
        if not isinstance(kind.value, str):
            self.add(kind, dotted(where, "kind"), f"must be text, not {shown(kind)}")
            return None
        try:
            cls = self._member_spec(family, kind.value)
        except PolytuneError as error:
            self.add(kind, where, str(error))
            return None
        return self.spec(cls, node, where)

    def add(self, node: Node, where: str, what: str) -> None:
        """Report a problem with a node."""
        self._problems.append(problem(node.origin, where, what))

    def _complain(self, complaint: Complaint, node: Node, where: str) -> None:
        if not complaint.at_key:
            self._problems.append(problem_at(node, where, ".".join(complaint.path), complaint.what))
            return
        parent, name = stated_at(node, where, complaint.path[:-1])
        place = parent.keys.get(complaint.path[-1], parent.origin)
        self._problems.append(problem(place, name, complaint.what))

    def _ask_specs(self, spec: Spec, node: Node, where: str) -> None:
        """Collect the specs' own problems. Members were asked when they were validated."""
        # With keys missing, rules across fields would report what the unread file may well satisfy.
        if node.incomplete:
            return
        for found in walk(spec, into_members=False):
            if isinstance(found.value, Spec):
                for own in found.value.problems():
                    path = dotted(".".join(found.path), own.field)
                    if not stated_at(node, where, split(path))[0].incomplete:
                        self._problems.append(problem_at(node, where, path, own.what))


class _Preparation:
    """Converts a node into pydantic's input, with members already validated."""

    def __init__(self, validation: _Validation, root: Node, where: str) -> None:
        self._validation = validation
        self._root = root
        self._where = where
        self._failed: set[Parts] = set()

    def has_failed(self, path: Parts) -> bool:
        """Whether something at, above or below a path was already reported."""
        above = any(path[:length] in self._failed for length in range(len(path) + 1))
        return above or any(failed[: len(path)] == path for failed in self._failed)

    def value(self, shape: Shape, node: Node, path: Parts) -> object:
        """Return a node's value for a field of this shape; FAILED when a problem was reported."""
        if node.broken:
            return self._failure(path)
        secret = shape.marker(SecretMarker)
        if secret is not None and shape.item is None and node.value is not None:
            if not secret.optional or _is_secret(node.value):
                return self._secret(node, path)
        # Only secret fields look the reference up; any other would use it as literal text.
        elif _is_secret(node.value) and shape.annotation is not Any:
            what = "${secret:...} is not allowed here; only secret fields accept one"
            return self._failure(path, node, what)
        if isinstance(node.value, tuple):
            item = _with_markers_of(shape, shape.item)
            return [self.value(item, part, (*path, str(i))) for i, part in enumerate(node.value)]
        member = shape.marker(Member)
        if member is not None and shape.item is None and shape.entry is None:
            return self._member(member.family, node, path)
        if isinstance(node.value, Mapping):
            return {key: self._below(shape, key, part, path) for key, part in node.value.items()}
        return _enum_member(shape, node.value)

    def _below(self, shape: Shape, key: str, node: Node, path: Parts) -> object:
        below = shape.below(key) or ANYTHING
        return self.value(_with_markers_of(shape, below) if shape.entry else below, node, (*path, key))

    def _failure(self, path: Parts, node: Node | None = None, what: str = "") -> object:
        self._failed.add(path)
        if node is not None:
            self._validation.add(node, self._name(path), what)
        return FAILED

    def _name(self, path: Parts) -> str:
        return stated_at(self._root, self._where, path)[1]

    def _secret(self, node: Node, path: Parts) -> object:
        if _is_secret(node.value):
            return node.value
        what = (
            "must be ${secret:NAME}, where NAME is an environment variable;"
            " do not write the secret itself into the file"
        )
        return self._failure(path, node, what)

    def _member(self, family: str, node: Node, path: Parts) -> object:
        if isinstance(node.value, str):
            return self._failure(path, node, f"must be a mapping; write {{kind: {node.text}}}")
        if not isinstance(node.value, Mapping):
            return node.value
        spec = self._validation.member(family, node, self._name(path))
        return self._failure(path) if spec is None else spec


def _is_only_unread(complaint: Complaint, node: Node) -> bool:
    """Whether a key is missing from a mapping that could not be read completely."""
    return complaint.is_missing and stated_at(node, "", complaint.path)[0].incomplete


def _with_markers_of(shape: Shape, part: Shape | None) -> Shape:
    """Return the shape of a list's or mapping's part; markers on the whole apply to its parts."""
    if part is None:
        return ANYTHING
    inherited = tuple(marker for marker in shape.markers if isinstance(marker, Member | SecretMarker))
    return replace(part, markers=(*part.markers, *inherited))


def _is_secret(value: object) -> bool:
    return isinstance(value, str) and secret_reference.fullmatch(value) is not None


def _enum_member(shape: Shape, value: object) -> object:
    """Return the field's Enum member, which pydantic's strict mode requires instead of its value."""
    if isinstance(shape.annotation, type) and issubclass(shape.annotation, Enum):
        return next((each for each in shape.annotation if each.value == value), value)
    return value


def _details(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_input=False)


def _checked(cls: type[Spec], data: object, node: Node) -> Spec:
    """Validate the data; reread untyped text (environment, command line) as a number or boolean if needed."""
    # As text first: `--set name=007` is text for a text field. Only a mismatch triggers the other reading.
    try:
        return cls.model_validate(data)
    except ValidationError as error:
        if not _reread(data, _details(error), node):
            raise
    return cls.model_validate(data)


def _reread(data: object, errors: Sequence[ErrorDetails], node: Node) -> bool:
    """Reread untyped values of the wrong type, changing `data` in place; return whether any changed."""
    changed = False
    for path in paths_of_mismatches(errors, node):
        found = at(node, path)
        if found is not None and found.loose and (other := _other_reading(found)) != found.value:
            _put(data, path, other)
            changed = True
    return changed


def _other_reading(node: Node) -> object:
    if not isinstance(node.value, str):
        return node.text
    try:
        return scalar(node.value)
    except ValueError:
        return node.value


def _put(data: object, path: Parts, value: object) -> None:
    """Replace the value at a path of nested dicts and lists."""
    for part in path[:-1]:
        data = data[int(part)] if isinstance(data, list) else cast("dict[str, object]", data)[part]
    if isinstance(data, list):
        data[int(path[-1])] = value
    elif isinstance(data, dict):
        data[path[-1]] = value
