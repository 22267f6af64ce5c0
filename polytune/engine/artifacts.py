"""Artifacts (what a step produced: named files with digests, and a few facts) and key records.

An artifact's digest covers names, contents and facts, never paths or times. A key record holds everything
that may change a step's output. The record that `why` and `diff` show is the record that is hashed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from polytune.fingerprint import fingerprint

Facts = dict[str, Any]
"""A small JSON object; the producer chooses its keys."""

record_format = 2
"""1 hashed every default too."""
hashed_parts = ("kind", "version", "spec", "inputs", "files", "facts")


class FileEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One output file."""

    path: str
    """Path relative to the workspace."""
    digest: str
    """SHA-256 of its bytes, 64 hex digits."""
    bytes: int
    records: int | None = None
    """Number of lines, if the file holds one record per line."""


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """What one step produced."""

    type: str
    files: dict[str, FileEntry]
    facts: Facts = {}
    """What later steps need to know and no file contains. Part of the digest."""

    @property
    def digest(self) -> str:
        """The SHA-256 digest that goes into the keys of later steps."""
        # No paths: the same content made by another run, or in another place, gives
        # the same keys downstream.
        contents = {name: entry.digest for name, entry in self.files.items()}
        return fingerprint(
            "polytune.artifact.v1", {"type": self.type, "files": contents, "facts": self.facts}
        )


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was decided about a step's output, item by item. Its digest is the cache key.

    What a spec leaves at its default is in no key, so a release that adds an option changes none.
    """

    kind: str
    version: int
    """The step kind's own version. It is raised when the same spec would give a different output, for example
    because a default has changed."""
    spec: Facts
    """The fields of the spec whose value differs from their default."""
    inputs: dict[str, str]
    """Digest of the artifact at each port."""
    files: dict[str, str]
    """Digest of each file and folder the spec names, by the field that names it."""
    facts: Facts
    """What else affects the output: base-model facts, the judge's version."""
    versions: dict[str, int] = {}
    """Version of each member that the step uses (`teachers/polychat`), except for a version of 1."""
    defaults: Facts = {}
    """The fields at their default, by dotted path. For messages only: never hashed."""
    format: int = record_format
    """Version of the layout of this record."""

    @property
    def key(self) -> str:
        """The cache key, 64 hex digits."""
        return fingerprint(f"polytune.key.v{self.format}", self._hashed())

    @property
    def open_key(self) -> str:
        """The digest of everything but the inputs, which are unknown until the steps before have run."""
        return fingerprint("polytune.open-key.v1", {**self._hashed(), "inputs": {}})

    def _hashed(self) -> Facts:
        parts: Facts = {name: getattr(self, name) for name in hashed_parts}
        # Absent while empty, so that giving a member its first new version changes no other key.
        return {**parts, "versions": self.versions} if self.versions else parts


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One path at which two records differ; None means absent."""

    path: str
    """Dotted: `spec.temperature`, `inputs.samples`, `files.prompts`."""
    old: str | None
    new: str | None


def changes(old: KeyRecord, new: KeyRecord) -> list[Change]:
    """Return every leaf at which the hashed parts of two key records differ, in path order.

    A field that is at its default on one side is shown with the default's value.
    """
    before, after = _hashed_leaves(old), _hashed_leaves(new)
    paths = sorted(before.keys() | after.keys())
    differing = [path for path in paths if before.get(path) != after.get(path)]
    usual = _default_leaves(old), _default_leaves(new)
    found = [
        Change(path=path, old=before.get(path, usual[0].get(path)), new=after.get(path, usual[1].get(path)))
        for path in differing
        if not (_is_empty(before.get(path), after.get(path)) and _has_parts(path, paths))
    ]
    # A new version is usually the sign of a new default, which is the reason that a user understands.
    return found if old.version == new.version else found + _new_defaults(*usual, paths)


def _hashed_leaves(record: KeyRecord) -> dict[str, str]:
    parts = {name: getattr(record, name) for name in (*hashed_parts, "versions", "format")}
    # An empty mapping stands for nothing: parts of it that appear are shown one by one.
    return dict(leaves({name: part for name, part in parts.items() if part != {}}))


def _default_leaves(record: KeyRecord) -> dict[str, str]:
    return {
        f"spec.{path}": text for name, value in record.defaults.items() for path, text in leaves(value, name)
    }


def _new_defaults(old: Mapping[str, str], new: Mapping[str, str], shown: Sequence[str]) -> list[Change]:
    both = sorted((old.keys() & new.keys()) - set(shown))
    return [Change(path=path, old=old[path], new=new[path]) for path in both if old[path] != new[path]]


def _is_empty(old: str | None, new: str | None) -> bool:
    """Whether an empty container appeared or disappeared; its members describe that better."""
    return {old, new} in ({None, "{}"}, {None, "[]"})


def _has_parts(path: str, paths: Sequence[str]) -> bool:
    return any(other.startswith(f"{path}.") for other in paths)


def leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield each scalar in a JSON value with its dotted path, rendered as JSON (strings without quotes)."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from leaves(item, f"{prefix}.{name}" if prefix else name)
    # Only lists of objects are expanded. A list of scalars is shown whole: `tags.3 jazz -> rock` would be
    # misleading when an item was inserted and every index behind it moved.
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for index, item in enumerate(value):
            yield from leaves(item, f"{prefix}.{index}")
    else:
        yield prefix, value if isinstance(value, str) else msgspec.json.encode(value).decode()


def ordered_paths(fields: Iterable[str]) -> list[list[str]]:
    """Return dotted paths as lists of their parts; the items of a list are in the list's order."""
    parts = [field.split(".") for field in fields]
    return sorted(
        parts, key=lambda path: [(part.isdigit(), len(part) * part.isdigit(), part) for part in path]
    )


def below(value: Any, path: Sequence[str]) -> Any:
    """Return the value at a path in nested objects and lists; list items are addressed by position."""
    for part in path:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value
