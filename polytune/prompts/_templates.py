"""Jinja2 templates in a sandbox: no randomness, no undefined names, no access to the program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

import jinja2
from jinja2 import meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from polytune.prompts.conditions import Condition, Value
from polytune.prompts.model import TemplateText

template_failures = (
    jinja2.TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    RecursionError,
)
"""The exceptions that a template can raise while it renders."""


@dataclass(frozen=True)
class PromptTemplate:
    """One compiled template."""

    id: str
    """Its position among its siblings, from 1: `techno/3`, or `3` in a plain list."""
    text: str
    """The text as written; several turns are joined."""
    names: tuple[str, ...]
    """The slots, axes and columns it uses, sorted."""
    compiled: tuple[jinja2.Template, ...]
    """One per user turn."""
    when: Condition

    def render(self, values: Mapping[str, Value]) -> tuple[str, ...]:
        """The user's turns, without surrounding space. Raises one of `template_failures`."""
        return tuple(turn.render(values).strip() for turn in self.compiled)


class TemplateSyntax(Exception):
    """The text of a turn is not a valid template; `line` counts from 1 within it."""

    def __init__(self, what: str, turn: int, line: int) -> None:
        super().__init__(what)
        self.turn = turn
        """Counted from 0."""
        self.line = line


def make_environment() -> jinja2.Environment:
    """Return a sandbox in which rendering depends only on the given values."""
    environment = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)
    # Prompt files are foreign code. And a prompt is the key of a paid answer, so it must render the same
    # every time: nothing random, no missing value silently rendered as "".
    environment.globals.clear()
    del environment.filters["random"]
    return environment


@cache
def _environment() -> jinja2.Environment:
    return make_environment()


# Cached: the variants of an experiment mostly share their prompt library, and compiling it is slow.
@lru_cache(maxsize=4096)
def _compiled(text: str) -> tuple[frozenset[str], jinja2.Template]:
    """Return the names that a turn uses, and the turn compiled. Raises jinja2.TemplateSyntaxError."""
    tree = _environment().parse(text)
    return frozenset(meta.find_undeclared_variables(tree)), _environment().from_string(tree)


def compile_template(identity: str, written: TemplateText) -> PromptTemplate:
    """Compile the template. Raises TemplateSyntax."""
    names: set[str] = set()
    compiled = []
    for turn, text in enumerate(written.turns):
        try:
            used, template = _compiled(text)
            names |= used
            compiled.append(template)
        except jinja2.TemplateSyntaxError as error:
            raise TemplateSyntax(error.message or "not a template", turn, error.lineno) from error
        except RecursionError as error:
            raise TemplateSyntax("nests too deep", turn, 1) from error
    text = "\0".join(written.turns)
    return PromptTemplate(identity, text, tuple(sorted(names)), tuple(compiled), written.when)
