"""Digests of values: SHA-256 of canonical JSON, each tagged with the kind of thing hashed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import msgspec

type_tag_separator = b"\0"

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


def canonical(value: Json) -> bytes:
    """Return the one byte string of a value: sorted keys, no spaces, UTF-8, no NaN or infinity."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def stated(value: object) -> Json:
    """Return a value of frozen structs as JSON; a struct's field at its default is absent.

    So a new optional field of the struct changes no digest.
    """
    if isinstance(value, msgspec.Struct):
        fields = (
            (each.encode_name, getattr(value, each.name), each) for each in msgspec.structs.fields(value)
        )
        return {
            name: stated(item) for name, item, field in fields if field.required or item != _default(field)
        }
    if isinstance(value, Mapping):
        return {str(key): stated(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [stated(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a {type(value).__name__} is no JSON value")


def _default(field: msgspec.structs.FieldInfo) -> object:
    return (
        field.default
        if field.default is not msgspec.NODEFAULT
        else cast("Callable[[], object]", field.default_factory)()
    )


def fingerprint(tag: str, value: Json) -> str:
    """Return the SHA-256 (64 hex digits) of a value under a tag such as `polytune.key.v1`."""
    # The tag keeps digests of different kinds apart. The zero byte occurs neither in a tag nor in JSON, so
    # no tag and value can be confused with another pair.
    return hashlib.sha256(tag.encode() + type_tag_separator + canonical(value)).hexdigest()
