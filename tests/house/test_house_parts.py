"""Deferred imports: what type checkers read is what happens at run time, and nothing happens before use."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from polytune import parts


def stated_modules() -> dict[str, str]:
    """Name -> module, by the imports of `parts.py` that only type checkers carry out."""
    tree = ast.parse(Path(parts.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {
        alias.asname: f"{node.module}.{alias.name}"
        for node in imports
        for alias in node.names
        if alias.asname is not None
    }


def test_each_part_is_the_module_that_type_checkers_see() -> None:
    """Every name of `parts` leads to the module that its import statement names, and no name is left out."""
    stated = stated_modules()

    assert set(stated) == set(parts.__all__)
    for name, module in stated.items():
        assert getattr(parts, name).__name__ == module


def test_an_unknown_part_is_an_attribute_error() -> None:
    """A name that `parts` does not have fails as it does for any module."""
    assert not hasattr(parts, "no_such_part")


def test_wiring_imports_nothing_heavy() -> None:
    """A command that opens the workspace has imported neither a part nor what makes start-up slow."""
    heavy = ("pydantic", "boto3", "aiohttp", "rich", "torch", *stated_modules().values())
    code = f"import sys, polytune.wiring; print([name for name in {heavy!r} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
