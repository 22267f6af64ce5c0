"""Resolves `${env:NAME}`, `${env:NAME:-default}` and `${spec:path}`; `${secret:NAME}` is left as it is.

`$${` stands for a literal `${`. A value that consists of a single `${spec:path}` keeps its type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from polytune.errors import Problem, did_you_mean
from polytune.spec.located import Node, Parts, children, problem, split

# References can multiply a small file exponentially ("billion laughs") or chain without end. These limits
# are far above any real experiment, and keep the recursion below Python's default limit of 1000 frames.
most_nested = 90
most_levels = 80
most_characters = 1_000_000
most_nodes = 50_000

references = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
environment_names = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
secret_reference = re.compile(r"\$\{secret:[A-Za-z_][A-Za-z0-9_]*\}")
forms = "${env:NAME}, ${env:NAME:-default}, ${spec:path} or ${secret:NAME}"
escape = "write $${ for a literal ${"


def secret_name(text: str) -> str:
    """Return the NAME of a `${secret:NAME}` reference; '' for any other text."""
    is_reference = secret_reference.fullmatch(text) is not None
    return text.removeprefix("${secret:").removesuffix("}") if is_reference else ""


class _WrongReference(Exception):
    """A reference that cannot be resolved; its text is the problem. Empty when already reported."""


@dataclass(frozen=True)
class _VariableText:
    """The text of an environment variable or its default."""

    text: str
    is_default: bool


class Interpolation:
    """Resolves references and records every environment variable it looks up."""

    def __init__(
        self, environment: Mapping[str, str], looked_up: dict[str, str | None], problems: list[Problem]
    ) -> None:
        self._environment = environment
        self._looked_up = looked_up
        self._problems = problems

    def whole(self, root: Node) -> Node:
        """Return the tree with every reference resolved; those that cannot be are marked as broken."""
        return self.part(root, root, ())

    def part(self, root: Node, node: Node, path: Parts) -> Node:
        """Resolve the node at `path` of `root` in the same way."""
        filled = _Filling(root, self._variable, self._problems).at(node, path)
        if _is_too_large(filled):
            what = f"references expand to more than {most_nodes:,} values or {most_levels} levels"
            self._problems.append(problem(node.origin, ".".join(path), what))
            return replace(node, value={}, broken=True)
        return filled

    def _variable(self, name: str, default: str | None) -> _VariableText:
        if not environment_names.fullmatch(name):
            raise _WrongReference(f"'{name}' is not a name of an environment variable")
        found = self._environment.get(name)
        # Recorded even if unset: setting it later must invalidate the stored compilation.
        self._looked_up[name] = found
        if found is None and default is None:
            remedy = f"set it, or give a default: ${{env:{name}:-...}}"
            raise _WrongReference(f"environment variable {name} is not set; {remedy}")
        # As in a shell, `:-` also replaces an empty variable.
        if not found and default is not None:
            return _VariableText(default, is_default=True)
        assert found is not None
        if not _is_text(found):
            raise _WrongReference(f"environment variable {name} is not UTF-8 text")
        return _VariableText(found, is_default=False)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def _is_too_large(root: Node) -> bool:
    waiting = [(root, 0)]
    count = 0
    while waiting:
        node, level = waiting.pop()
        count += 1
        if count > most_nodes or level > most_levels:
            return True
        waiting.extend((child, level + 1) for child in children(node).values())
    return False


class _Filling:
    """Resolves the references of one tree; each part is resolved when it is first needed."""

    def __init__(
        self, root: Node, variable: Callable[[str, str | None], _VariableText], problems: list[Problem]
    ) -> None:
        self._root = root
        self._variable = variable
        self._problems = problems
        self._done: dict[Parts, Node] = {}
        self._active: list[Parts] = []

    def at(self, node: Node, path: Parts) -> Node:
        """Return the resolved node at `path`."""
        found = self._done.get(path)
        if found is not None:
            return found
        if path in self._active:
            chain = [".".join(each) for each in self._active[self._active.index(path) :]]
            raise _WrongReference(f"refers to itself: {' -> '.join([*chain, '.'.join(path)])}")
        if len(self._active) > most_nested:
            raise _WrongReference("refers through too many levels")
        self._active.append(path)
        filled = self._filled(node, path)
        self._active.pop()
        self._done[path] = filled
        return filled

    def _filled(self, node: Node, path: Parts) -> Node:
        value = node.value
        if isinstance(value, str):
            return self._text(node, value, path) if "${" in value else node
        if isinstance(value, Mapping):
            parts = {key: self.at(child, (*path, key)) for key, child in value.items()}
            return node if all(parts[key] is value[key] for key in parts) else replace(node, value=parts)
        if isinstance(value, tuple):
            items = tuple(self.at(child, (*path, str(index))) for index, child in enumerate(value))
            return replace(node, value=items)
        return node

    def _text(self, node: Node, text: str, path: Parts) -> Node:
        depth = len(self._active)
        try:
            return self._whole(node, text) or self._pieces(node, text)
        except _WrongReference as wrong:
            # The exception skipped the pops of the levels below.
            del self._active[depth:]
            if str(wrong):
                self._problems.append(problem(node.origin, ".".join(path), str(wrong)))
            return replace(node, broken=True)

    def _whole(self, node: Node, text: str) -> Node | None:
        """Return the value of a string that is exactly one reference; None for any other string."""
        match = references.fullmatch(text)
        if match is None or match[1] is None:
            return None
        kind, _, rest = match[1].partition(":")
        if kind == "spec":
            target = self._target(rest)
            # Placed at the reference: that is the line to edit when the value does not fit here.
            return replace(target, origin=node.origin, stated=node.stated)
        if kind == "env":
            return self._variable_node(node, rest)
        if secret_reference.fullmatch(text):
            return node
        raise _WrongReference(_unknown(match[0], kind))

    def _variable_node(self, node: Node, stated: str) -> Node:
        found = self._from_environment(stated)
        via = "" if found.is_default else f"env:{stated.partition(':-')[0]}"
        origin = replace(node.origin, via=via)
        # Environment variables are always text; `loose` lets a numeric field read it as a number.
        return replace(node, value=found.text, text=found.text, loose=True, origin=origin)

    def _from_environment(self, stated: str) -> _VariableText:
        name, dash, default = stated.partition(":-")
        return self._variable(name, default if dash else None)

    def _pieces(self, node: Node, text: str) -> Node:
        pieces = []
        end = 0
        for match in references.finditer(text):
            pieces += [text[end : match.start()], self._piece(match)]
            end = match.end()
        joined = "".join([*pieces, text[end:]])
        if len(joined) > most_characters:
            raise _WrongReference(f"grows to more than {most_characters:,} characters")
        return replace(node, value=joined, text=joined)

    def _piece(self, match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        if match[1] is None:
            raise _WrongReference(f"'${{' is not closed, or holds braces; {escape}")
        kind, _, rest = match[1].partition(":")
        if kind == "env":
            return self._from_environment(rest).text
        if kind == "spec":
            return self._inside_text(rest)
        if secret_reference.fullmatch(match[0]):
            raise _WrongReference("a secret must be the whole value, with no text around it")
        raise _WrongReference(_unknown(match[0], kind))

    def _inside_text(self, path: str) -> str:
        target = self._target(path)
        if isinstance(target.value, Mapping | tuple):
            raise _WrongReference(
                f"{path} is a list or a mapping; ${{spec:{path}}} must then be the whole value"
            )
        if isinstance(target.value, str) and secret_reference.fullmatch(target.value):
            raise _WrongReference("a secret must be the whole value, with no text around it")
        return target.text or ""

    def _target(self, path: str) -> Node:
        """Return the resolved node that a `${spec:path}` refers to."""
        parts = split(path)
        node = self._root
        for index, part in enumerate(parts):
            if isinstance(node.value, str):
                node = self.at(node, parts[:index])
            found = children(node).get(part)
            if found is None and node.incomplete:
                # The key may be in a parent file that could not be read, which is already reported.
                raise _WrongReference
            if found is None:
                where = ".".join(parts[:index]) or "this experiment"
                raise _WrongReference(_no_key(part, where, node))
            node = found
        target = self.at(node, parts)
        if target.broken:
            raise _WrongReference
        return target


def _unknown(reference: str, kind: str) -> str:
    if kind == "secret":
        return f"'{reference}': a secret is named like an environment variable"
    return f"unknown reference '{reference}'; use {forms}, or {escape}"


def _no_key(part: str, where: str, node: Node) -> str:
    if not isinstance(node.value, Mapping | tuple):
        return f"refers to '{part}' in {where}, which is a single value"
    return f"no '{part}' is written in {where}.{did_you_mean(part, list(children(node)))}"
