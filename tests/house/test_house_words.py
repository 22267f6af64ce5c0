"""One meaning per word: a class name is defined once; only `platforms/` asks for a platform by its name."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import polytune

package = Path(polytune.__file__).parent
platform_names = {path.parent.name for path in (package / "platforms").glob("*/platform.py")}


def trees() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the product: its path in the package and its syntax tree."""
    for path in sorted(package.rglob("*.py")):
        yield path.relative_to(package).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_every_class_name_has_one_meaning() -> None:
    """Public or private, nested or not, leading underscores aside: no name is given to two classes."""
    homes: dict[str, list[str]] = defaultdict(list)
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                homes[node.name.lstrip("_")].append(f"{path}:{node.lineno}")

    assert {name: places for name, places in homes.items() if len(places) > 1} == {}


def compared(tree: ast.Module) -> Iterator[ast.Constant]:
    """Constants that something is compared with, or looked up in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for side in (node.left, *node.comparators):
                yield from (each for each in ast.walk(side) if isinstance(each, ast.Constant))


def test_only_platforms_know_a_platform_by_its_name() -> None:
    """No comparison outside `platforms/` names one: whoever differs by platform asks its interface."""
    # A teacher, a service of AWS and a layout may be called as a platform is.
    other_meanings = ("aws/", "sources/")
    found = [
        f"{path}:{constant.lineno}"
        for path, tree in trees()
        if not path.startswith(("platforms/", *other_meanings))
        for constant in compared(tree)
        if constant.value in platform_names
    ]

    assert found == []


def test_functions_fit_on_a_screen() -> None:
    """No function is longer than sixty lines."""
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno >= 60
    ]

    assert long == []
