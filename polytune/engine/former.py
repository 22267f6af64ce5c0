"""Brings records of polytune's first key format, in which a key held every default, into today's.

The conversion needs only `former.json`, which lists the defaults that the last program of that format hashed.
So it gives the same keys for ever, whatever becomes of the spec classes. What a record says is not changed:
its fields at their default move from `spec` to `defaults`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import msgspec

from polytune.engine.artifacts import Facts, KeyRecord, record_format
from polytune.fingerprint import canonical, fingerprint

Table = Mapping[str, Any]
"""Of one spec class: `defaults` by field, `parts` (the family of members, or the table of a nested spec) by
field, `effective` fields, whose values were among the facts too."""


@cache
def former_defaults() -> Table:
    """Return the content of `former.json`: by family, by kind, the table of each spec class."""
    text = Path(__file__).with_name("former.json").read_text(encoding="utf-8")
    return cast("Table", json.loads(text))


def is_former(record: KeyRecord) -> bool:
    """Whether a record is of the first format."""
    return record.format < record_format


def current(record: KeyRecord) -> KeyRecord:
    """Return the record in today's format; one that is already in it is returned unchanged."""
    if not is_former(record):
        return record
    spec, defaults = decided(record.kind, record.spec)
    return msgspec.structs.replace(
        record, spec=spec, defaults=defaults, facts=_facts(record.facts), format=record_format
    )


def former_key(record: KeyRecord) -> str:
    """Return the cache key of a record of the first format, as its program computed it."""
    names = ("kind", "version", "spec", "inputs", "files", "facts", "format")
    return fingerprint("polytune.key.v1", {name: getattr(record, name) for name in names})


def decided(kind: str, spec: Facts) -> tuple[Facts, Facts]:
    """Return what a step's whole spec decides, and its fields at their default by dotted path."""
    defaults: Facts = {}
    table: Table = former_defaults()["steps"].get(kind, {})
    found = _without_defaults(spec, table, "", defaults)
    for field in effective_fields(kind):
        found.pop(field, None)
        defaults.pop(field, None)
    return found, defaults


def effective_fields(kind: str) -> tuple[str, ...]:
    """Return the fields of a step kind whose effective values were among the facts of the first format."""
    table: Table = former_defaults()["steps"].get(kind, {})
    return tuple(table.get("effective", ()))


def _without_defaults(spec: Facts, table: Table, prefix: str, defaults: Facts) -> Facts:
    found: Facts = {}
    usual, parts = table.get("defaults", {}), table.get("parts", {})
    for name, value in spec.items():
        if name in usual and canonical(value) == canonical(usual[name]):
            defaults[f"{prefix}{name}"] = value
        else:
            found[name] = _inner(value, parts.get(name), f"{prefix}{name}", defaults)
    return found


def _inner(value: Any, part: str | Table | None, path: str, defaults: Facts) -> Any:
    """Return a field's value without the defaults inside it; `part` says what specs it holds, if any."""
    if part is None:
        return value
    if isinstance(value, list):
        return [_inner(item, part, f"{path}.{index}", defaults) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    table = former_defaults()[part].get(value.get("kind"), {}) if isinstance(part, str) else part
    return _without_defaults(value, table, f"{path}.", defaults)


def _facts(facts: Facts) -> Facts:
    """Return a step's facts in today's form: the rules of base models have another digest now."""
    rules: Mapping[str, str] = former_defaults()["rules"]
    former = facts.get("rules")
    return {**facts, "rules": rules[former]} if isinstance(former, str) and former in rules else facts


def former_request(kind: str, teacher: Facts, request: Facts) -> str:
    """Return the digest under which the first format stored the answers to a request.

    `teacher` is the teacher's whole spec, with the content digest of each file that it names.
    """
    asked = former_defaults()["teachers"].get(kind, {}).get("asked", teacher)
    identity = {name: value for name, value in teacher.items() if name in asked}
    return fingerprint("polytune.request.v1", {"teacher": identity, "request": request})
