"""Digests of values: SHA-256 of canonical JSON, each tagged with the kind of thing hashed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

type_tag_separator = b"\0"

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


def canonical(value: Json) -> bytes:
    """Return the one byte string of a value: sorted keys, no spaces, UTF-8, no NaN or infinity."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def fingerprint(tag: str, value: Json) -> str:
    """Return the SHA-256 (64 hex digits) of a value under a tag such as `polytune.key.v1`."""
    # The tag keeps digests of different kinds apart. The zero byte occurs neither in a tag nor in JSON, so
    # no tag and value can be confused with another pair.
    return hashlib.sha256(tag.encode() + type_tag_separator + canonical(value)).hexdigest()
