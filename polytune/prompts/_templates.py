"""Templates in a sandbox: nothing random, nothing undefined, no access to the program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jinja2
from jinja2 import meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from polytune.prompts.model import Value

template_failures = (
    jinja2.TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    RecursionError,
)
"""What a template can do wrong while it renders."""


@dataclass(frozen=True)
class PromptTemplate:
    """One way of asking."""

    id: str
    """Its place among its siblings, from 1: `techno/3`, or `3` in a plain list."""
    text: str
    """As written."""
    names: tuple[str, ...]
    """The slots and axes it uses, sorted."""
    compiled: jinja2.Template

    def render(self, values: Mapping[str, Value]) -> str:
        """The prompt, without surrounding space. Raises one of `template_failures`."""
        return self.compiled.render(values).strip()


class TemplateSyntax(Exception):
    """The text is no template; `line` counts from 1 inside it."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.line = line


def make_environment() -> jinja2.Environment:
    """A sandbox in which rendering depends on the given values only."""
    environment = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)
    environment.globals.clear()
    del environment.filters["random"]
    return environment


def compile_template(environment: jinja2.Environment, identity: str, text: str) -> PromptTemplate:
    """The template, ready to render. Raises TemplateSyntax."""
    try:
        tree = environment.parse(text)
        names = tuple(sorted(meta.find_undeclared_variables(tree)))
        return PromptTemplate(identity, text, names, environment.from_string(tree))
    except jinja2.TemplateSyntaxError as error:
        raise TemplateSyntax(error.message or "not a template", error.lineno) from error
    except RecursionError as error:
        raise TemplateSyntax("nests too deep", 1) from error
