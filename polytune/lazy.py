"""Heavy parts, imported when they are needed: the executor, the compiler, the screen.

A command that finds nothing to do must not pay for them, and imports never stand inside functions.
"""

from __future__ import annotations

import importlib
from types import ModuleType


def part(module: str) -> ModuleType:
    """A module of polytune's own, by its dotted name below the package."""
    return importlib.import_module(f"polytune.{module}")
