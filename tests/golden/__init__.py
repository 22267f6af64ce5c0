"""What keys and answers' identities are made of, member by member, as `table.yaml` has it.

A key that moves makes every user run, and pay for, that step again. So a change of what a member does, or of
a default, needs a new `version` of the member; without one the test fails and says so. What is new (a member,
a field with a default) changes no key and is only written down:

    python -m tests.golden
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from polytune.engine.artifacts import KeyRecord
from polytune.engine.step import STEPS, Scope
from polytune.errors import Problem
from polytune.exporters.interface import EXPORTERS
from polytune.formats.interface import FORMATS
from polytune.graders.interface import GRADERS
from polytune.platforms.interface import PLATFORMS
from polytune.registry import Family
from polytune.settings import Settings
from polytune.sources.interface import SOURCES
from polytune.spec.fields import Shape, fields_of, key_of
from polytune.spec.model import MemberSpec, Spec
from polytune.spec.reading import read_yaml
from polytune.spec.resolved import FoundValue, decisions, json_of, named_files
from polytune.spec.validate import validated
from polytune.step_factory import member_spec
from polytune.steps._teachers import AnswerIdentities, teacher_of
from polytune.teachers.interface import TEACHERS, Request
from tests.examples import Example, Named, examples_of, placed
from tests.exporters.exporter_samples import plain

table_path = Path(__file__).with_name("table.yaml")
families: tuple[Family[Any], ...] = (STEPS, TEACHERS, GRADERS, SOURCES, PLATFORMS, FORMATS, EXPORTERS)
question = Request(system="Be brief.", prompt="When?", variables={"style": "techno", "n": 1})

Entry = dict[str, Any]
"""`version`, `defaults` by dotted path, and what the member makes of its example."""


class AnyExample(Example, kw_only=True, forbid_unknown_fields=False):
    """An example of any family, without what only that family's suite asks for."""


def table(folder: Path) -> dict[str, Entry]:
    """Return the entry of every member, by `family/name`; examples are laid into `folder`."""
    members = [(family, name) for family in families for name in family.names()]
    return {f"{family.name}/{name}": _entry(family, name, folder) for family, name in members}


def recorded() -> dict[str, Entry]:
    """Return the table in the repository."""
    found: dict[str, Entry] = yaml.safe_load(table_path.read_text(encoding="utf-8"))
    return found


def faults(old: Mapping[str, Entry], new: Mapping[str, Entry]) -> Iterator[str]:
    """Yield what needs a new version, each with what to do; nothing for what only needs writing down."""
    for name, entry in new.items():
        before = old.get(name)
        # A new version may change everything: that is what it is for.
        if before is None or before["version"] != entry["version"]:
            continue
        # An option that was removed is no longer stated by anybody.
        defaults = {field: was for field, was in before["defaults"].items() if field in entry["defaults"]}
        changed = [*_changed("default of ", defaults, entry["defaults"]), *_changed("", before, entry)]
        for what, was, now in changed:
            yield (
                f"{name}: the {what} was {was} and is {now}, so every user would run and pay for what uses it"
                f" again. If that is meant, raise `version` of {name} and run `python -m tests.golden`;"
                " if not, undo it"
            )


def _changed(
    prefix: str, before: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    for field, was in before.items():
        if field != "defaults" and now.get(field) != was:
            yield f"{prefix}{field}", was, now.get(field)


def _entry(family: Family[Any], name: str, folder: Path) -> Entry:
    cls = family.load(name)
    entry: Entry = {"version": cls.version, "defaults": {}}
    if hasattr(cls, "Spec"):
        entry["defaults"] = dict(sorted(_defaults(cls.Spec, ())))
    if family is FORMATS and cls.takes_samples:
        entry["bytes"] = cls().exchanges(["Be brief."], ["When?"], ["Noon."])[0].decode()
    if family is EXPORTERS:
        entry["file"] = cls().render(plain)
    if family is TEACHERS and (example := _example(family, name)):
        entry["request"] = _request_digest(example, folder / name)
    if family is STEPS and (example := _example(family, name)):
        entry |= _key_of(example, folder / name)
    return entry


def _example(family: Family[Any], name: str) -> Named[AnyExample] | None:
    """Return the first example of a member."""
    return next((each for each in examples_of(family, AnyExample) if each.member == name), None)


def _defaults(cls: type[Spec], path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for name, field in cls.model_fields.items():
        key = key_of(name, field)
        shape = fields_of(cls)[key]
        if not field.is_required():
            default = field.get_default(call_default_factory=True)
            yield ".".join((*path, key)), json_of(FoundValue((key,), shape, default))
        for inner in _inner(shape):
            yield from _defaults(inner, (*path, key))


def _inner(shape: Shape) -> Iterator[type[Spec]]:
    """Yield the spec classes that a field holds itself; those of members have entries of their own."""
    for each in (shape, shape.item, shape.entry, *shape.arms):
        if each is not None and each.spec is not None and not issubclass(each.spec, MemberSpec):
            yield each.spec


def _spec(named: Named[AnyExample], cls: type[Any], fields: Mapping[str, Any], folder: Path) -> Any:
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(dict(fields)), encoding="utf-8")
    problems: list[Problem] = []
    spec = validated(cls.Spec, read_yaml(path), named.member, problems, member_spec)
    assert spec is not None, problems
    return spec


def _request_digest(named: Named[AnyExample], folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    fields = {**named.example.spec, "kind": named.member}
    # A fixed address: the question is not sent.
    fields = msgspec.json.decode(msgspec.json.encode(fields).replace(b"{server}", b"https://teacher.example"))
    for name, text in named.example.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    spec = _spec(named, TEACHERS.load(named.member), fields, folder)
    files = {f"teacher.{name}": folder / str(getattr(spec, name)) for name in named_files(spec)}
    scope = Scope(folder, folder, "golden", "default", Settings(environment=named.example.environment))
    return AnswerIdentities(teacher_of(spec, files, scope), spec, files, scope).digest(question)


def _key_of(named: Named[AnyExample], folder: Path) -> Entry:
    folder.mkdir(parents=True, exist_ok=True)
    cls = STEPS.load(named.member)
    with placed(named, folder, Settings(cache_folder=folder / "cache")) as place:
        spec = _spec(named, cls, named.example.spec, folder)
        paths = named_files(spec)
        files = {name: folder / str(_at(spec, name)) for name in paths}
        facts = cls(spec, files, Scope(folder, folder, "golden", "default", place.settings)).key_facts().facts
    record = KeyRecord(
        kind=named.member,
        version=cls.version,
        spec=decisions(spec).spec,
        inputs=dict.fromkeys(cls.consumes, "0" * 64),
        files=dict.fromkeys(paths, "1" * 64),
        facts=facts,
    )
    return {"facts": facts, "key": record.key}


def _at(value: object, dotted: str) -> object:
    for part in dotted.split("."):
        value = value[int(part)] if isinstance(value, tuple) else getattr(value, part)
    return value
