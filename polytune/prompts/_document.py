"""A YAML file as plain data that keeps the line and column of everything in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from polytune.errors import Problem, SpecError
from polytune.fingerprint import Json
from polytune.spec.located import Node, Origin, children, plain
from polytune.spec.reading import read_yaml

Step = str | int | float
"""One step into a document: a key, or a position in a list."""


@dataclass(frozen=True)
class Document:
    """The content of a file, with places."""

    file: str
    """The path as messages show it."""
    text: str
    root: Node

    def data(self) -> Json:
        """Return the values without their places."""
        return plain(self.root)

    def problem(self, path: Sequence[Step], what: str, *, key: bool = False, word: str = "") -> Problem:
        """Return a problem at the value under `path`, at its key, or at `word` in the template there."""
        node, at_key, known = self._walk(path)
        place = at_key if key else node.origin
        problem = Problem(self.file, place.line, place.column, _dotted(known), what)
        return self._at_word(problem, word) if word else problem

    def known(self, path: Sequence[Step]) -> tuple[Step, ...]:
        """Return the steps of `path` that the document has; others (pydantic's own) are left out."""
        return self._walk(path)[2]

    def _walk(self, path: Sequence[Step]) -> tuple[Node, Origin, tuple[Step, ...]]:
        node, at_key, known = self.root, self.root.origin, list[Step]()
        for step in path:
            child = children(node).get(str(step))
            if child is not None:
                at_key = node.keys.get(str(step), child.origin)
                node = child
                known.append(step)
        return node, at_key, tuple(known)

    def _at_word(self, problem: Problem, word: str) -> Problem:
        """Move the problem to where the word occurs inside `{{ }}` or `{% %}`, if it can be found."""
        lines = self.text.split("\n")
        start = sum(len(line) + 1 for line in lines[: problem.line - 1]) + problem.column - 1
        # YAML values may be folded or quoted, so offsets in a template are not offsets in the file; search
        # for the word.
        found = re.compile(rf"\{{[{{%][^}}]*?(?<!\w)({re.escape(word)})(?!\w)").search(self.text, start)
        if found is None:
            return problem
        before = self.text[: found.start(1)]
        return replace(problem, line=before.count("\n") + 1, column=len(before) - before.rfind("\n"))


def read_document(path: Path, shown: str) -> Document:
    """Read a file with the places of its content. Raises SpecError with every problem in its text."""
    try:
        root = read_yaml(path)
    except SpecError as error:
        raise SpecError(replace(problem, file=shown) for problem in error.problems) from None
    # utf-8-sig, as in spec/reading: with a byte order mark, columns would be off by one.
    return Document(shown, path.read_text(encoding="utf-8-sig"), root)


def _dotted(path: Sequence[Step]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")
