"""The JSON Schema (draft 2020-12) of experiment files, for editors. polytune itself never reads it.

A file may take any key from the file that it extends, so the schema requires none. A `${...}` may replace
any single value.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from inspect import cleandoc, getsource
from itertools import pairwise
from types import ModuleType
from typing import TypeVar

from pydantic.json_schema import models_json_schema

from polytune.spec.experiment import Experiment, step_ids
from polytune.spec.fields import Shape, fields_of, key_of
from polytune.spec.model import CatalogueName, JsonObject, Member, MemberSpec, Spec

M = TypeVar("M")
Change = Callable[[JsonObject], JsonObject]

dialect = "https://json-schema.org/draft/2020-12/schema"
reference = {
    "description": "A reference that is filled in: ${env:NAME}, ${env:NAME:-default}, ${spec:path}.",
    "pattern": r"\$\{(env|spec):[^}]+\}",
    "type": "string",
}
wiring: JsonObject = {
    "uses": {"description": "The step's kind; its id when not stated.", "type": "string"},
    "from": {
        "description": "Which step feeds this one, or port -> step, when more than one could.",
        "anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}],
    },
    "needs": {
        "description": "Steps that must be done first although nothing flows from them.",
        "type": "array",
        "items": {"type": "string"},
    },
}
single_types = frozenset({"integer", "number", "boolean", "string"})


@dataclass(frozen=True)
class _NamedSpec:
    """A spec class and the name of its definition."""

    name: str
    cls: type[Spec]


def schema_text(schema: JsonObject) -> str:
    """Return the schema as text, deterministically, because the file is committed."""
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def experiment_schema(
    step_specs: Mapping[str, type[Spec]],
    members: Mapping[str, Mapping[str, type[Spec]]],
    names: Mapping[str, Sequence[str]],
) -> JsonObject:
    """Return the schema of experiment files with these steps and members.

    `step_specs` is step kind -> spec, `members` is family -> kind -> spec, and `names` is catalogue ->
    names.
    """
    steps = [_NamedSpec(f"steps.{kind}", step_specs[kind]) for kind in sorted(step_specs)]
    kinds = [_NamedSpec(f"{f}.{k}", members[f][k]) for f in sorted(members) for k in sorted(members[f])]
    definitions = _definitions([*steps, *kinds, _NamedSpec("experiment", Experiment)], names)
    for step in steps:
        properties = definitions[step.name].setdefault("properties", {})
        definitions[step.name]["properties"] = {**wiring, **properties}
    for part in kinds:
        # The spec classes declare `kind` as any text; the schema pins it to the member.
        kind = part.name.partition(".")[2]
        definitions[part.name].setdefault("properties", {})["kind"] = {"const": kind}
    for part in (*steps, *kinds):
        if rules := part.cls.schema_rules():
            definitions[part.name]["allOf"] = rules
    for family in sorted(members):
        definitions[family] = _choice("kind", family, members[family])
    definitions["step"] = _choice("uses", "steps", step_specs)
    definitions["reference"] = reference
    top = definitions.pop("experiment")
    top["properties"]["steps"] = _steps(top["properties"]["steps"], sorted(step_specs))
    return {"$schema": dialect, "title": "polytune experiment", **top, "$defs": _used(top, definitions)}


def _steps(stated: JsonObject, kinds: Sequence[str]) -> JsonObject:
    """Return the schema of the `steps` mapping: an id that names a kind has it unless `uses` differs."""
    return {
        "description": stated["description"],
        "type": "object",
        "propertyNames": {"pattern": f"^{step_ids.pattern}$"},
        "properties": {
            kind: {
                "if": {"type": "object", "required": ["uses"]},
                "then": {"$ref": "#/$defs/step"},
                "else": {"anyOf": [{"$ref": f"#/$defs/steps.{kind}"}, {"type": "null"}]},
            }
            for kind in kinds
        },
        "additionalProperties": {"$ref": "#/$defs/step"},
    }


def _choice(key: str, family: str, specs: Mapping[str, type[Spec]]) -> JsonObject:
    """Return the schema of a mapping whose `key` selects the definition of the rest."""
    named = [{"const": kind, "description": _summary(specs[kind])} for kind in sorted(specs)]
    return {
        "type": "object",
        "properties": {key: {"anyOf": [*named, {"$ref": "#/$defs/reference"}]}},
        # if/then rather than oneOf: editors then report the errors of the chosen kind, not of all kinds.
        "allOf": [
            {
                "if": {"properties": {key: {"const": kind}}, "required": [key]},
                "then": {"$ref": f"#/$defs/{family}.{kind}"},
            }
            for kind in sorted(specs)
        ],
    }


def _summary(cls: type[Spec]) -> str:
    return cleandoc(cls.__doc__ or "").partition("\n")[0]


def _definitions(parts: Sequence[_NamedSpec], names: Mapping[str, Sequence[str]]) -> dict[str, JsonObject]:
    """Return one definition per part, under the part's name, and one per spec class nested in them."""
    classes = list(dict.fromkeys([part.cls for part in parts] + _nested([part.cls for part in parts])))
    refs, whole = models_json_schema([(cls, "validation") for cls in classes])
    found: dict[str, JsonObject] = whole.get("$defs", {})
    by_class = {cls: ref["$ref"].removeprefix("#/$defs/") for (cls, _), ref in refs.items()}
    for cls in classes:
        _mark(found[by_class[cls]], cls, names)
    tidied = {name: _tidied(definition) for name, definition in found.items()}
    # Deep copies: a class that two parts share gets different `kind` constants below.
    named = {part.name: json.loads(json.dumps(tidied[by_class[part.cls]])) for part in parts}
    return {**tidied, **named}


def _nested(classes: Sequence[type[Spec]]) -> list[type[Spec]]:
    """Return every spec class nested in the fields of these, except members."""
    found: list[type[Spec]] = []
    waiting = [shape for cls in classes for shape in fields_of(cls).values()]
    while waiting:
        shape = waiting.pop()
        if shape.spec is not None and shape.spec not in found and shape.spec is not MemberSpec:
            found.append(shape.spec)
            waiting.extend(fields_of(shape.spec).values())
        waiting.extend(_inside(shape))
    return found


def _inside(shape: Shape) -> list[Shape]:
    return [part for part in (shape.item, shape.entry, *shape.arms) if part is not None]


def _mark(definition: JsonObject, cls: type[Spec], names: Mapping[str, Sequence[str]]) -> None:
    """Apply the markers of the fields (families, catalogues) and remove all requirements."""
    # A file may inherit any key through `extends`.
    definition.pop("required", None)
    documented = field_docstrings(cls)
    for key, shape in fields_of(cls).items():
        about = {"description": documented[key]} if key in documented else {}
        stated = {**about, **definition["properties"][key]}
        if (member := _marker(shape, Member)) is not None:
            stated = _rewritten(stated, _in_place_of_references(member.family))
        if (catalogue := _marker(shape, CatalogueName)) is not None:
            stated = _rewritten(stated, _in_place_of_text(catalogue, names[catalogue.catalogue]))
        definition["properties"][key] = stated


def field_docstrings(cls: type[Spec]) -> dict[str, str]:
    """Return the docstring under each field, by key. Only here are they read from the source.

    pydantic can read them when it builds a class, but that adds 8 ms per class to the start of every
    command.
    """
    found: dict[str, str] = {}
    for owner in reversed(cls.__mro__):
        if issubclass(owner, Spec):
            found |= _docstrings_in(owner)
    keys = {name: key_of(name, field) for name, field in cls.model_fields.items()}
    return {keys[name]: text for name, text in found.items() if name in keys}


def _docstrings_in(cls: type[Spec]) -> dict[str, str]:
    # Python drops the strings under fields when it compiles; only the source has them.
    definition = _classes_of(sys.modules[cls.__module__])[cls.__qualname__]
    return {
        field.target.id: cleandoc(text.value.value)
        for field, text in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


@cache
def _classes_of(module: ModuleType) -> dict[str, ast.ClassDef]:
    """Return every class definition of a module, by qualified name. Cached: parsing is slow."""
    return dict(_classes_in(ast.parse(getsource(module)), ""))


def _classes_in(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for child in ast.iter_child_nodes(node):
        inside = prefix
        if isinstance(child, ast.ClassDef):
            yield f"{prefix}{child.name}", child
            inside = f"{prefix}{child.name}."
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = f"{prefix}{child.name}.<locals>."
        if not isinstance(child, ast.expr):
            yield from _classes_in(child, inside)


def _in_place_of_references(family: str) -> Change:
    return lambda part: {**part, "$ref": f"#/$defs/{family}"} if "$ref" in part else part


def _in_place_of_text(catalogue: CatalogueName, names: Sequence[str]) -> Change:
    known: JsonObject = {"enum": sorted(names)}
    change = known if catalogue.is_closed else {"anyOf": [known, {"type": "string"}]}
    return lambda part: {**part, **change} if part.get("type") == "string" else part


def _marker(shape: Shape, kind: type[M]) -> M | None:
    """Return the first marker of a kind on a shape or anything inside it."""
    found = (_marker(part, kind) for part in _inside(shape))
    return shape.marker(kind) or next((each for each in found if each is not None), None)


def _rewritten(part: JsonObject, change: Change) -> JsonObject:
    """Change a schema and every schema inside it, innermost first; `default` and `const` are data."""
    inner: JsonObject = {}
    for key, value in part.items():
        if key in ("properties", "$defs"):
            inner[key] = {name: _rewritten(each, change) for name, each in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            inner[key] = _rewritten(value, change)
        elif key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            inner[key] = [_rewritten(each, change) for each in value]
        else:
            inner[key] = value
    return change(inner)


def _tidied(definition: JsonObject) -> JsonObject:
    """Remove generated titles, put each description on one line, and allow references."""
    return _rewritten(_rewritten(definition, _plain_words), _open_to_references)


def _plain_words(part: JsonObject) -> JsonObject:
    words = {key: value for key, value in part.items() if key != "title"}
    if isinstance(words.get("description"), str):
        words["description"] = " ".join(words["description"].split())
    return words


def _open_to_references(part: JsonObject) -> JsonObject:
    """Allow a reference in place of a single value; free text already accepts one."""
    limits = {key for key in part if key not in ("description", "default", "type")}
    is_single = part.get("type") in single_types or "enum" in part or "const" in part
    if not is_single or (part.get("type") == "string" and not limits):
        return part
    about: JsonObject = {key: part[key] for key in ("description", "default") if key in part}
    rest = {key: value for key, value in part.items() if key not in about}
    return {**about, "anyOf": [rest, {"$ref": "#/$defs/reference"}]}


def _used(top: JsonObject, definitions: Mapping[str, JsonObject]) -> JsonObject:
    """Return the definitions that are reachable from the top level, sorted."""
    used: set[str] = set()
    waiting = _refs(top)
    while waiting:
        name = waiting.pop()
        if name not in used:
            used.add(name)
            waiting |= _refs(definitions[name])
    return {name: definitions[name] for name in sorted(used)}


def _refs(part: object) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"].removeprefix("#/$defs/")} if isinstance(part.get("$ref"), str) else set()
        return own.union(*map(_refs, part.values()))
    if isinstance(part, list):
        return set().union(*map(_refs, part))
    return set()
