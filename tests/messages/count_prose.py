"""How many tests pin prose: `python -m tests.messages.count_prose [-v]` (-v lists the places).

A test pins prose when one of its assertions or `match=` patterns, or a table that it is parametrized with,
has a string with three consecutive words that also follow each other in a string of the program. Docstrings
do not count on either side. Galleries are left out: this folder, and files with "gallery" in their name.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

top = Path(__file__).parents[2]
word = re.compile(r"[`'\"(]*[A-Za-z][A-Za-z'-]*[`'\".,;:!?)]*")
Function = (ast.FunctionDef, ast.AsyncFunctionDef)


def runs_of_three(text: str) -> Iterator[tuple[str, str, str]]:
    """Every three words in a row of a text, in small letters and without punctuation."""
    words = [re.sub(r"[^a-z-]", "", each.lower()) if word.fullmatch(each) else "" for each in text.split()]
    return ((a, b, c) for a, b, c in zip(words, words[1:], words[2:], strict=False) if a and b and c)


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The strings under a node with their lines; an f-string is one string, its values are not words."""
    if isinstance(tree, ast.JoinedStr):
        parts = (str(part.value) if isinstance(part, ast.Constant) else " 0 " for part in tree.values)
        yield tree.lineno, "".join(parts)
    elif isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        yield tree.lineno, tree.value
    elif not (isinstance(tree, ast.Expr) and isinstance(tree.value, ast.Constant)):
        for child in ast.iter_child_nodes(tree):
            yield from strings(child)


def program() -> set[tuple[str, str, str]]:
    """The runs of three words in the strings of the program."""
    found: set[tuple[str, str, str]] = set()
    for path in (top / "polytune").rglob("*.py"):
        if path.parent.name == "base_models":
            continue  # titles such as "Amazon Nova Lite" are facts, not prose
        for _, text in strings(ast.parse(path.read_text())):
            found.update(runs_of_three(text))
    for path in (top / "polytune").rglob("*.html"):
        found.update(runs_of_three(re.sub("<[^>]*>", " ", path.read_text())))
    return found


def pinning(
    function: ast.FunctionDef | ast.AsyncFunctionDef, tables: dict[str, ast.AST]
) -> Iterator[ast.AST]:
    """The parts of a test that pin what they hold: assertions, patterns, and the tables of its parameters."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            yield node.test
        elif isinstance(node, ast.keyword) and node.arg == "match":
            yield node.value
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call):
            yield from decorator.args[1:2]
            yield from (
                tables[n.id] for n in ast.walk(decorator) if isinstance(n, ast.Name) and n.id in tables
            )


def main() -> None:
    """Print the counts, and with -v each place."""
    known = program()
    tests, places = 0, dict[str, list[str]]()
    for path in sorted((top / "tests").rglob("*.py")):
        if "gallery" in path.name or path.parent == Path(__file__).parent:
            continue
        tree = ast.parse(path.read_text())
        tables: dict[str, ast.AST] = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for function in (node for node in ast.walk(tree) if isinstance(node, Function)):
            tests += function.name.startswith("test_")
            for part in pinning(function, tables):
                for line, text in strings(part):
                    if not known.isdisjoint(runs_of_three(text)):
                        place = f"{path.relative_to(top)}:{line}: {text!r}"
                        places.setdefault(f"{path.name}::{function.name}", []).append(place)
    pinned = sum("::test_" in test for test in places)
    if "-v" in sys.argv:
        sys.stdout.writelines(f"{place}\n" for found in places.values() for place in found)
    sys.stdout.write(f"{tests} tests, {pinned} pin prose, in {sum(map(len, places.values()))} places\n")


if __name__ == "__main__":
    main()
