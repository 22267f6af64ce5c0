"""The content of a prompt file: system prompt, guides, templates, slots, personas and examples.

    system: You write haiku.                      template_axis: season      (when templates is a mapping)
    guides: {season: {spring: ..., autumn: ...}}  templates: {spring: ["A haiku about {{ thing }}"]}
    slots: {thing: [rain, wind]}                  or by axis value: {thing: {spring: [buds], default: [rain]}}
                                                  or drawn: {lines: {range: [3, 7]}}
    personas: [A tired gardener, ...]             one per sample, as {{ persona }}, else in the system prompt
    examples: [{prompt: ..., answer: ...}, ...]   shots: 2      two per sample, in the system prompt

A template is a text, a list of texts (the user's turns of one conversation), or a mapping with `text` or
`turns` and `when` (the cells it serves). The smallest file is `templates: [Tell me a joke]`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Annotated, TypeGuard

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationError
from pydantic_core import ErrorDetails

from polytune.errors import Problem, SpecError, did_you_mean
from polytune.prompts._document import Document, Step
from polytune.prompts.conditions import Cell as Cell
from polytune.prompts.conditions import Condition, holds
from polytune.prompts.conditions import Value as Value
from polytune.prompts.distributions import SlotDistribution, states_distribution
from polytune.spec.model import Items, Spec

every_value = "*"
"""The key that holds a plain list of templates, which serve every cell."""
default = "default"
"""The key of slot values for cells that no other key matches."""
persona = "persona"
"""The name of the persona in templates."""


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _templates_by_value(value: object) -> object:
    return {every_value: value} if _is_list(value) else value


def _slots_by_value(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return {
        name: {default: values} if _is_list(values) or states_distribution(values) else values
        for name, values in value.items()
    }


def _template(value: object) -> object:
    """Return a template in its full form; return anything else unchanged."""
    if isinstance(value, str):
        return {"turns": [value]}
    if _is_list(value):
        return {"turns": value}
    if isinstance(value, dict) and "text" in value and "turns" not in value:
        return {"turns": [value["text"]], **{key: each for key, each in value.items() if key != "text"}}
    return value


def _choice(value: object) -> str:
    return "distribution" if states_distribution(value) else "list"


SlotValues = Annotated[
    Annotated[Items[Value], Tag("list")] | Annotated[SlotDistribution, Tag("distribution")],
    Discriminator(_choice),
]
"""A list, whose values are used equally often, or a distribution to draw from."""


class TemplateText(Spec):
    """A template as written."""

    turns: Annotated[Items[str], Field(min_length=1)]
    """The user's turns; one for a single question."""
    when: Condition = {}
    """The cells it serves, such as `{complexity: simple}`; all if not stated."""

    @property
    def identity(self) -> str:
        """A text that is unique to the template."""
        return "\0".join(turn.strip() for turn in self.turns)


class FewShotExample(Spec):
    """A question and a good answer, shown to the teacher."""

    prompt: str
    """The question."""
    answer: str
    """The answer."""
    when: Condition = {}
    """The cells it is shown in; all if not stated."""


class PromptFile(Spec):
    """The prompts of one project."""

    system: str = ""
    """The teacher's system prompt; the guides of the cell follow it."""
    short_system: str = ""
    """One or two sentences that may replace `system` in the training rows."""
    guides: dict[str, dict[str, str]] = {}
    """Axis -> value -> text that is added to the system prompt of cells with this value."""
    template_axis: str = ""
    """The axis whose values are the keys of `templates`; leave it out when `templates` is a list."""
    templates: Annotated[
        dict[str, Items[Annotated[TemplateText, BeforeValidator(_template)]]],
        BeforeValidator(_templates_by_value),
    ]
    """User prompts in Jinja2, which may use any slot or axis: a list, or one list per value of an axis."""
    slots: Annotated[dict[str, dict[str, SlotValues]], BeforeValidator(_slots_by_value)] = {}
    """Name -> values, or name -> {axis value: values, `axis=value`: values, default: values}. Values are a
    list, or a distribution such as `{range: [60, 180]}`."""
    personas: Items[str] | str = ()
    """Personas of the user: texts, or the path of a file with one per line. If a template does not use
    `persona`, the system prompt states it."""
    examples: Items[FewShotExample] = ()
    """Questions with good answers; each sample's request shows some of them to the teacher."""
    shots: Annotated[int, Field(ge=0)] = 0
    """Number of examples per sample."""

    def slot_values(self, name: str, cell: Cell) -> tuple[Value, ...] | SlotDistribution:
        """Return the values a slot may take in a cell; empty when the file has none for it."""
        choices = self.slots[name]
        # Keys are text in YAML, while axis values may be numbers.
        present = {str(value) for value in cell.values()}
        present |= {f"{axis}={value}" for axis, value in cell.items()}
        named = (values for key, values in choices.items() if key in present)
        return next(named, choices.get(default, ()))

    def guide(self, axis: str, value: Value) -> str | None:
        """Return the guide of an axis value, or None."""
        return self.guides.get(axis, {}).get(str(value))

    def examples_for(self, cell: Cell) -> tuple[FewShotExample, ...]:
        """Return the examples that may be shown in a cell."""
        return tuple(each for each in self.examples if holds(each.when, cell)) if self.shots else ()

    def templates_for(self, cell: Cell) -> str | None:
        """Return the key of the templates that serve a cell; None when there are none."""
        if every_value in self.templates:
            return every_value
        wanted = str(cell.get(self.template_axis, ""))
        return wanted if wanted in self.templates else None


def template_path(key: str, index: int) -> tuple[Step, ...]:
    """Return the path of a template in the document."""
    return ("templates", index) if key == every_value else ("templates", key, index)


def parse_prompt_file(document: Document) -> PromptFile:
    """Return the file as a validated value. Raises SpecError with every wrong key and type."""
    data = document.data()
    if not isinstance(data, dict):
        raise SpecError([document.problem((), "a prompt file is a mapping with the key `templates`")])
    try:
        return PromptFile.model_validate(data)
    except ValidationError as error:
        raise SpecError(_problems(document, error)) from None


_expected = {
    "string_type": "a text",
    "int_type": "a number",
    "int_from_float": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a text",
    "model_attributes_type": "a text",
}
_keys_below: Mapping[str, tuple[str, ...]] = {
    "slots": tuple(SlotDistribution.model_fields),
    "templates": ("text", *TemplateText.model_fields),
    "examples": tuple(FewShotExample.model_fields),
}


def _problems(document: Document, error: ValidationError) -> list[Problem]:
    """Return one problem per place; the alternatives of a union are combined."""
    by_place: dict[tuple[Step, ...], list[ErrorDetails]] = defaultdict(list)
    problems = []
    for detail in error.errors(include_url=False):
        if detail["type"] == "extra_forbidden":
            top = detail["loc"][0] if len(detail["loc"]) > 1 else ""
            known = _keys_below.get(str(top), tuple(PromptFile.model_fields))
            what = f"unknown key.{did_you_mean(str(detail['loc'][-1]), known)}"
            problems.append(document.problem(detail["loc"], what, key=True))
        elif detail["type"] == "missing":
            place = document.known(detail["loc"][:-1])
            problems.append(document.problem(place, f"the key `{detail['loc'][-1]}` is missing"))
        else:
            by_place[document.known(detail["loc"])].append(detail)
    return problems + [document.problem(place, _wrong(place, found)) for place, found in by_place.items()]


def _wrong(place: tuple[Step, ...], found: list[ErrorDetails]) -> str:
    context = found[0].get("ctx", {})
    if found[0]["type"] in ("too_short", "too_long"):
        least, most = context.get("min_length"), context.get("max_length")
        bound = f"at least {least}" if least else f"at most {most}"
        return f"has {context['actual_length']} items; must have {bound}"
    if "error" in context:
        return str(context["error"])
    # A dict as an ordered set: each alternative is named once.
    names = {_expected.get(detail["type"], detail["msg"]): None for detail in found}
    if (
        "a mapping" in names
        and place[0] in ("templates", "slots")
        and len(place) == 1 + (place[0] == "slots")
    ):
        names = {"a list": None, **names}
    return f"must be {' or '.join(names)}, not {_described(found[0]['input'])}"


def _described(value: object) -> str:
    words: dict[type, str] = {str: "a text", dict: "a mapping", list: "a list", type(None): "empty"}
    return words.get(type(value), f"{value}")
